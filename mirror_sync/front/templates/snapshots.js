// From a request to a published snapshot, and from its root to entries.

import answers from 'answers.js';
import bucket from 'bucket.js';
import listing from 'listing.js';
import requests from 'requests.js';
import tables from 'tables.js';

const COMMIT = /^[0-9a-f]{40}$/;
const CURSOR = /^([0-9a-f]{64})-(\d{1,9})-(\d{1,9})$/;
// as mirror_sync/domain/repo.py: "--" and ".." would make keys collide
const REPO_PART = '[A-Za-z0-9_](?:[A-Za-z0-9_.\\-]*[A-Za-z0-9_])?';
const REPO_ID = new RegExp('^(?!.*(?:--|\\.\\.))(?=.{1,96}$)(?:' + REPO_PART + '/)?' + REPO_PART + '$');

async function refsOf(r, fields) {
    const kinds = fields.kinds || fields.place.slice(0, -1) || 'models';
    const known = kinds !== 'spaces' && REPO_ID.test(fields.id);
    const refs = known ? await published(r, kinds, fields.id) : null;
    if (refs !== null) {
        return refs;
    }
    const id = known ? await meant(r, kinds, fields.id) : null;
    if (id !== null) {
        throw answers.elsewhere(id);
    }
    const refusal = answers.refusal(404, tables.MESSAGES.repo, 'RepoNotFound');
    throw Object.assign(refusal, known ? {repo: {kinds, id: fields.id}} : {});
}

// The refs of a repo, or null when nothing of it is published, or no longer.
async function published(r, kinds, id) {
    const text = await bucket.refs(r, kinds, id);
    const refs = text === null ? null : known(JSON.parse(text), 'refs.json');
    return refs === null || Object.keys(refs.snapshots).length === 0 ? null : refs;
}

// A document of a format that we read; the first refs.json says none.
function known(document, what) {
    const format = document.format === undefined && what === 'refs.json' ? 1 : document.format;
    if (tables.FORMATS.indexOf(format) < 0) {
        throw new Error('a ' + what + ' of format ' + String(format).slice(0, 20) + ', this front reads ' +
                        tables.FORMATS.join(' and ') + ': a newer mirror-sync wrote it');
    }
    return document;
}

// The id of the published repo that an unknown one stands for, in other letters or as a former name; null for none.
async function meant(r, kinds, id) {
    const told = await bucket.alias(r, kinds, id);
    if (told !== null && !REPO_ID.test(told)) {
        throw new Error('the alias of ' + id + ' is no id');
    }
    const others = [told, id.toLowerCase()].filter((other) => other !== null && other !== id);
    for (let i = 0; i < others.length; i++) {
        const refs = await published(r, kinds, others[i]);
        if (refs !== null) {
            return others[i];
        }
    }
    return null;
}

// The best first: a full name, a branch, a tag. Conversions and pull requests have their full names alone.
function commitOf(refs, revision) {
    if (COMMIT.test(revision)) {
        return refs.snapshots[revision] ? revision : null;
    }
    const asked = revision === 'HEAD' ? 'refs/heads/main' : revision;
    const full = refs.branches.concat(refs.tags, refs.converts, refs.pullRequests).filter((ref) => ref.ref === asked);
    const short = refs.branches.concat(refs.tags).filter((ref) => ref.name === asked);
    const named = full.concat(short).filter((ref) => refs.snapshots[ref.targetCommit]);
    return named.length ? named[0].targetCommit : null;
}

// The snapshot that a request leads to; `pinned` when the request named the commit itself.
async function open(r, fields) {
    const revision = requests.decoded(fields.rev);
    const refs = await refsOf(r, fields);
    const commit = commitOf(refs, revision);
    if (!commit) {
        throw answers.refusal(404, tables.MESSAGES.revision, 'RevisionNotFound');
    }
    const digest = refs.snapshots[commit];
    const text = await bucket.document(r, digest);
    return {commit, digest, root: known(JSON.parse(text), 'root document'), pinned: revision === commit};
}

function shard(r, root, number) {
    return bucket.document(r, root.shards[number][1]);
}

async function entryOf(r, root, path) {
    if (path.length > tables.LONGEST_PATH) {
        return null;
    }
    const text = await shard(r, root, listing.shardFor(root, path));
    const line = listing.find(text, path);
    return line === null ? null : JSON.parse(line);
}

// Where a cursor says that its page begins, null without one. Another root under the same commit ends a listing: never a mix.
function resume(opened, cursor, folder) {
    if (!cursor) {
        return null;
    }
    const found = CURSOR.exec(cursor);
    if (!found) {
        throw answers.refusal(400, tables.MESSAGES.cursor);
    }
    if (found[1] !== opened.digest) {
        throw answers.refusal(410, tables.MESSAGES.gone);
    }
    if (Number(found[2]) >= listing.endShard(opened.root, folder)) {
        throw answers.refusal(400, tables.MESSAGES.cursor);
    }
    return {shard: Number(found[2]), entry: Number(found[3])};
}

export default { entryOf, open, refsOf, resume, shard };
