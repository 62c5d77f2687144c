// From a request to a published snapshot, and from its root to entries.

import answers from 'answers.js';
import bucket from 'bucket.js';
import listing from 'listing.js';
import requests from 'requests.js';
import tables from 'tables.js';

const COMMIT = /^[0-9a-f]{40}$/;
const OURS = 'refs/channels/';
const ASKED = 8;  // snapshots of a repo without a main branch
const CURSOR = /^([0-9a-f]{64})-(\d{1,9})-(\d{1,9})$/;
// as mirror_sync/domain/repo.py: "--" and ".." would make keys collide
const REPO_ID = /^(?!.*(?:--|\.\.))(?=.{1,96}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_])?\/)?[A-Za-z0-9_](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_])?$/;

// What is published of the repo that a request names.
async function refsOf(r, fields) {
    const refs = await found(r, fields, (one) => Object.keys(one.snapshots).length > 0);
    return refs;
}

// The same, and also of a repo that has no snapshot, where there are documents of it as a whole.
async function documentsOf(r, fields) {
    const refs = await found(r, fields, (one) => Object.keys(one.snapshots).length + Object.keys(one.attachments || {}).length > 0);
    return refs;
}

async function found(r, fields, isMeant) {
    const kinds = fields.kinds || fields.place.slice(0, -1) || 'models';
    const known = REPO_ID.test(fields.id);
    let refs = fields.held ? fields.held.refs : null;
    if (known && !fields.held) {
        refs = await read(r, kinds, fields.id);
    }
    if (refs !== null) {
        await expectUntaken(r, fields.id, refs);
        if (isMeant(refs)) {
            return refs;
        }
    }
    const id = known ? await meant(r, kinds, fields.id) : null;
    if (id !== null) {
        throw answers.elsewhere(id);
    }
    const refusal = answers.refusal(404, tables.MESSAGES.repo, 'RepoNotFound');
    throw Object.assign(refusal, known ? {repo: {kinds, id: fields.id}} : {});
}

// A refusal of a repo whose refs say that it was taken down.
async function expectUntaken(r, id, refs) {
    if (tombstone(refs)) {
        const withdrawn = await whyWithdrawn(r, id, tombstone(refs));
        throw withdrawn;
    }
}

// The refs.json of a repo, or null.
async function read(r, kinds, id) {
    const text = await bucket.refs(r, kinds, id);
    return text === null ? null : known(JSON.parse(text), 'refs.json');
}

// Whether the upstream gave what is published to some people only, or does not say that it did not: of the newest word on it.
async function isClosed(r, refs) {
    if (!tables.ACCESS.all_opened && tombstone(refs)) {
        const text = await bucket.document(r, tombstone(refs));
        return JSON.parse(text).closed === true;
    }
    if (tables.ACCESS.all_opened) {
        return false;
    }
    if ((refs.attachments || {}).closed) {  // since, without a commit; or before anything was published
        return true;
    }
    const newest = newestWords(refs);
    const roots = newest.length ? newest : Object.keys(refs.snapshots).map((commit) => refs.snapshots[commit]).sort().slice(0, ASKED);
    for (let i = 0; i < roots.length; i++) {
        const reply = await r.subrequest('/-/closed/' + roots[i], {method: 'GET'});
        if (reply.status !== 200 || ['open', 'closed'].indexOf(reply.responseText) < 0) {
            throw new Error('nobody can tell whether ' + roots[i] + ' is closed');
        }
        if (reply.responseText !== 'open') {
            return true;
        }
    }
    return false;
}

// The roots that may hold the upstream's newest words on a repo; as Refs.newest_words in mirror_sync/domain/content/refs.py.
function newestWords(refs) {
    const main = commitOf(refs, 'main');
    if (!main || !(refs.attachments || {}).pinned) {
        return main ? [refs.snapshots[main]] : [];
    }
    const told = [main];
    (refs.log || []).forEach((entry) => told.push(entry.to, entry.from));
    return told.map((commit) => commit && refs.snapshots[commit]).filter((root, at, all) => root && all.indexOf(root) === at);
}

// What the upstream says of the repo of a snapshot, beside its files, which come last.
async function described(r, root) {
    const info = await bucket.document(r, root.info), at = info.lastIndexOf('"siblings":[');
    return JSON.parse(at < 0 ? info : info.slice(0, at) + '"siblings":[]}');
}

// What the upstream says of a root: `open` for a repo that it gives to everybody.
async function closing(r, digest) {
    const root = await bucket.document(r, digest);
    const said = await described(r, known(JSON.parse(root), 'root document'));
    return said.private === false && said.gated === false ? 'open' : 'closed';
}

// Whether something of a repo is published, or was taken down.
function isThere(refs) {
    return Object.keys(refs.snapshots).length > 0 || Boolean(tombstone(refs));
}

// How many entries each shard of a root has, of as many as are counted at once.
async function counts(r, digest, segment) {
    const text = await bucket.document(r, digest);
    const root = known(JSON.parse(text), 'root document'), first = segment * listing.SEGMENT, found = [];
    for (let number = first; number < Math.min(first + listing.SEGMENT, root.shards.length); number++) {
        const one = await shard(r, root, number);
        found.push(listing.count(one));
    }
    return found;
}

// The same, as nginx keeps it.
async function counted(r, digest, segment) {
    const reply = await r.subrequest('/-/counts/' + digest + '/' + segment, {method: 'GET'});
    if (reply.status !== 200) {
        throw new Error('nobody can count the shards of ' + digest);
    }
    return JSON.parse(reply.responseText);
}

// The digest of the document that says why a repo was taken down.
function tombstone(refs) {
    return (refs.attachments || {}).tombstone;
}

// As gated: the one refusal whose words most clients show. The header says that it is this mirror's own word.
async function whyWithdrawn(r, id, digest) {
    const text = await bucket.document(r, digest);
    const said = JSON.parse(text), by = said.by ? ' by ' + said.by : '';
    const message = id + ' was taken down on ' + said.at.slice(0, 10) + by + ': ' + said.why;
    return answers.refusal(403, message, 'GatedRepo', {'X-Mirror-State': 'withdrawn'});
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

// The id of the repo that an unknown one stands for, in other letters or as a former name; null for none. It is published, or
// was taken down, which its own address says.
async function meant(r, kinds, id) {
    const told = await bucket.alias(r, kinds, id);
    if (told !== null && !REPO_ID.test(told)) {
        throw new Error('the alias of ' + id + ' is no id');
    }
    const others = [told, id.toLowerCase()].filter((other) => other !== null && other !== id);
    for (let i = 0; i < others.length; i++) {
        const refs = await read(r, kinds, others[i]);
        if (refs !== null && isThere(refs)) {
            return others[i];
        }
    }
    return null;
}

// The commit that a name of ours stands for, or undefined; as Refs.leads_to in mirror_sync/domain/content/refs.py.
function ourCommit(refs, revision) {
    const name = revision.indexOf(OURS) === 0 ? revision.slice(OURS.length) : revision, ours = refs.channels || {};
    return Object.prototype.hasOwnProperty.call(ours, name) && refs.snapshots[ours[name]] ? ours[name] : undefined;
}

// The Hub's lists of refs as readers are given them; as Refs.shown there.
function shown(refs) {
    const told = {}, names = Object.keys(refs.channels || {}).sort().filter((name) => ourCommit(refs, name));
    tables.REF_GROUPS.forEach((group) => {
        const short = group === 'branches' || group === 'tags';
        told[group] = refs[group].filter((ref) => names.indexOf(short ? ref.name : ref.ref) < 0);
    });
    told.branches = told.branches.concat(names.map((name) => ({name, ref: OURS + name, targetCommit: refs.channels[name]})));
    return told;
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

// The commit that a reader gets who asks for a revision, or nothing; as Refs.leads_to.
function leadsTo(refs, revision) {
    return (isCommit(revision) ? undefined : ourCommit(refs, revision)) || commitOf(refs, revision);
}

async function rootOf(r, digest) {
    const text = await bucket.document(r, digest);
    return known(JSON.parse(text), 'root document');
}

// The snapshot that a request leads to; `pinned` when the request named the commit itself.
async function open(r, fields) {
    const revision = requests.decoded(fields.rev);
    const refs = await refsOf(r, fields);
    const commit = leadsTo(refs, revision);
    if (!commit) {
        throw answers.refusal(404, tables.MESSAGES.revision, 'RevisionNotFound');
    }
    const digest = refs.snapshots[commit];
    const root = await rootOf(r, digest);
    return {commit, digest, root, pinned: revision === commit};
}

// Where the files of a snapshot are, too: an address each, up to the path, of the replicas that are known to have it. No
// answer fails for that.
async function elsewhere(r, fields, opened) {
    const repo = named(fields), found = [];
    for (let i = 0; repo !== null && i < tables.REPLICAS.length; i++) {
        const place = (repo.kinds === 'models' ? '' : repo.kinds + '/') + repo.id + '/resolve/' + opened.commit + '/';
        try {
            const text = await bucket.held(r, tables.REPLICAS[i].name, repo.kinds, repo.id);
            const told = text === null ? null : JSON.parse(text);
            if (told !== null && told.format === 1 && told.roots.indexOf(opened.digest) >= 0) {
                found.push(tables.REPLICAS[i].url + '/' + place);
            }
        } catch (error) {
            r.warn('nobody can tell what replica ' + tables.REPLICAS[i].name + ' has: ' + error.message);
        }
    }
    return found;
}

function isCommit(revision) {
    return COMMIT.test(revision);
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

// The repo that an address names, or null.
function named(fields) {
    const kinds = fields.kinds || (fields.place || '').slice(0, -1) || 'models';
    return fields.id !== undefined && REPO_ID.test(fields.id) ? {kinds, id: fields.id} : null;
}

export default { closing, commitOf, counted, counts, described, documentsOf, elsewhere, entryOf, expectUntaken, isClosed, isCommit, isThere, leadsTo, meant, named, open, ourCommit,
                 read, refsOf, resume, rootOf, shard, shown };
