// The Hub's API: mirror_sync/front/hub/hub_api.py in JavaScript, one function for every route. njs 0.7.9 wants `await` in
// statements of their own.

import access from 'access.js';
import answers from 'answers.js';
import bucket from 'bucket.js';
import listing from 'listing.js';
import lists from 'lists.js';
import requests from 'requests.js';
import slices from 'slices.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const crypto = require('crypto');

const MANY_FILES = 2000;  // of which an info has some 100 KB
const IS_PLAIN = new RegExp(tables.OF.metalinks.PLAIN);

// While this is missing every process of huggingface_hub asks again; anything else in it breaks downloads.
async function harnesses(r) {
    answers.sendJson(r, tables.HARNESSES, {'Cache-Control': tables.CACHING.settled});
}

// Whose token it is, as `hf auth login` and `hf auth whoami` ask.
async function whoami(r) {
    if (!tables.ACCESS.tokens) {
        throw answers.unanswered();
    }
    const asking = access.who(r);
    if (asking.badge !== 'held') {
        throw access.unauthorized(access.wanted(asking));
    }
    answers.sendJson(r, tables.WHOAMI.split('{name}').join(asking.name).split('{role}').join(asking.role),
                     {'Cache-Control': tables.CACHING.never});
}

// Who publishes kernels: their client loads none, before any file, of whom the answer does not vouch for.
async function organization(r, fields) {
    if (tables.KERNEL_PUBLISHERS.indexOf(fields.owner) < 0) {
        throw answers.unanswered();
    }
    answers.sendJson(r, tables.PUBLISHER.split('{owner}').join(fields.owner), {'Cache-Control': tables.CACHING.moving});
}

async function listed(r, fields) {
    if (!tables.SITE) {
        throw answers.refusal(404, tables.MESSAGES.site);
    }
    await lists.listed(r, fields.kinds);
}

async function refs(r, fields) {
    const document = await snapshots.refsOf(r, fields);
    answers.sendJson(r, JSON.stringify(snapshots.shown(document)));
}

async function auth_check(r, fields) {
    await snapshots.refsOf(r, fields);
    answers.sendJson(r, '{"ok":true}');
}

// Of what is here no answer tells a Xet hash, so that nobody asks.
async function xet_token(r, fields) {
    await snapshots.refsOf(r, fields);
    throw answers.unanswered();
}

async function repo(r, fields) {
    await revision(r, Object.assign({rev: 'main'}, fields));
}

async function revision(r, fields) {
    const opened = await snapshots.open(r, fields), etag = infoTag(opened.root.info);
    const headers = Object.assign({ETag: etag}, answers.settled(opened));
    if (answers.isCurrent(r, etag)) {
        return answers.send(r, 304, headers);
    }
    if (r.variables.asks_itself && r.variables.kept_for !== 'one' && opened.root.files > MANY_FILES) {
        return answers.send(r, 421, {});
    }
    const text = await infoText(r, opened.root.info);
    answers.sendJson(r, text, headers);
}

// Where an info of many files is, for nginx to keep a while: see the location @long_info.
async function told(r, fields) {
    const opened = await snapshots.open(r, Object.assign({rev: 'main'}, fields));
    return {digest: opened.root.info, etag: infoTag(opened.root.info), type: answers.JSON_TYPE, commit: opened.commit,
            caching: answers.settled(opened)['Cache-Control']};
}

// An info as it is answered, by the digest of its document.
async function infoText(r, digest) {
    const text = await bucket.document(r, digest);
    return '{' + tables.UNKNOWN_COUNTS + text.slice(1);
}

function infoTag(digest) {
    return '"' + digest + tables.ADDED + '"';
}

async function commits(r, fields) {
    const opened = await snapshots.open(r, fields), digest = opened.root.commits;
    answers.sendBlob(r, {digest, etag: '"' + digest + '"', type: answers.JSON_TYPE, commit: opened.commit,
                         caching: answers.settled(opened)['Cache-Control'], location: '/-/document'});
}

async function tree(r, fields) {
    const opened = await snapshots.open(r, fields);
    const folder = requests.decoded(fields.folder).split('/').filter((part) => part).join('/');
    const entry = folder ? await snapshots.entryOf(r, opened.root, folder) : {type: 'directory'};
    if (!entry || entry.type !== 'directory') {
        throw answers.entryNotFound(opened.commit);
    }
    const listed = {recursive: flag(r, 'recursive'), expand: flag(r, 'expand')}, headers = answers.settled(opened);
    const page = await listing.page(opened.root, (number) => snapshots.shard(r, opened.root, number), folder,
                                    listed.recursive, snapshots.resume(opened, requests.argument(r, 'cursor'), folder));
    if (page.next) {
        Object.assign(headers, answers.linked('<' + pageUrl(r, fields, opened, listed, page.next) + '>; rel="next"'));
    }
    answers.sendJson(r, listing.array(page.entries, listed.expand ? opened.root.last : null), headers);
}

function flag(r, name) {
    return requests.isTrue(requests.argument(r, name));
}

// The next page names this root: a listing never mixes two selections.
function pageUrl(r, fields, opened, listed, place) {
    const path = '/api/' + fields.kinds + '/' + fields.id + '/tree/' + opened.commit + fields.folder;
    const query = '?recursive=' + listed.recursive + '&expand=' + listed.expand;
    return requests.origin(r) + path + query + '&cursor=' + [opened.digest, place.shard, place.entry].join('-');
}

async function paths_info(r, fields) {
    const opened = await snapshots.open(r, fields);
    const wanted = requests.wantedPaths(r);
    const entries = await listing.findAll(opened.root, (number) => snapshots.shard(r, opened.root, number), wanted.paths);
    const headers = {'X-Repo-Commit': opened.commit, 'Cache-Control': tables.CACHING.never};
    answers.sendJson(r, listing.array(entries, wanted.expand ? opened.root.last : null), headers);
}

async function file(r, fields) {
    const opened = await snapshots.open(r, fields);
    const path = requests.decoded(fields.path), entry = await fileEntry(r, opened, path);
    if (r.method === 'HEAD' && !opened.pinned) {
        redirectToCommit(r, fields, opened);
    } else {
        const links = await linksOf(r, fields, opened);
        answers.sendBlob(r, Object.assign(blobOf(opened, path, entry), links));
    }
}

// Where a file is told of, and where it is, too.
async function linksOf(r, fields, opened) {
    const urls = await atReplicas(r, fields, opened), form = tables.OF.metalinks.DUPLICATE;
    return {described: describedBy(r, fields, opened),
            duplicates: urls.map((url, at) => form.replace('{url}', () => url).replace('{priority}', String(at + 1)))};
}

async function atReplicas(r, fields, opened) {
    const places = await snapshots.elsewhere(r, fields, opened);
    const path = requests.decoded(fields.path).split('/').map(encodeURIComponent).join('/');
    return places.map((place) => place + path);
}

// The header that leads from a file to its Metalink, '' where its path would not stand in one: metalinks.py.
function describedBy(r, fields, opened) {
    const path = r.variables.request_uri.split('?')[0], own = tables.OF.metalinks;
    if (!IS_PLAIN.test(path)) {
        return '';
    }
    const up = '../'.repeat(path.split('/').length - 2), kinds = fields.place || 'models/';
    const target = up + '-/metalink/' + kinds + fields.id + '/' + opened.commit + '/' + fields.path + '.meta4';
    return '<' + target + '>; rel=describedby; type="' + own.MEDIA_TYPE + '"';
}

// A file as git keeps it: of one in LFS the pointer, which is made anew and proved by its git id.
async function raw(r, fields) {
    const opened = await snapshots.open(r, fields);
    const path = requests.decoded(fields.path), entry = await fileEntry(r, opened, path);
    if (!entry.lfs) {
        answers.sendBlob(r, blobOf(opened, path, entry));
        return;
    }
    const text = tables.LFS_POINTER.replace('{digest}', entry.lfs.oid).replace('{size}', String(entry.size));
    const oid = crypto.createHash('sha1').update('blob ' + text.length + '\0' + text).digest('hex');
    if (oid !== entry.oid) {
        throw answers.refusal(404, tables.MESSAGES.pointer, 'EntryNotFound', {'X-Repo-Commit': opened.commit});
    }
    const blob = {etag: '"' + oid + '"', type: tables.TEXT, commit: opened.commit, caching: cachingOf(opened)};
    const held = answers.isCurrent(r, blob.etag);
    answers.sendText(r, blob, text, held ? null : requests.byteRange(r, blob.etag, text.length));
}

async function fileEntry(r, opened, path) {
    const entry = await snapshots.entryOf(r, opened.root, path);
    if (!entry || entry.type !== 'file') {
        throw answers.entryNotFound(opened.commit);
    }
    return entry;
}

function cachingOf(opened) {
    return opened.pinned ? tables.CACHING.immutable : tables.CACHING.moving;
}

function blobOf(opened, path, entry) {
    const suffix = suffixOf(path);
    const type = tables.MEDIA_TYPES[suffix.toLowerCase()];
    return {digest: entry.sha256, size: entry.size, commit: opened.commit, linked: true,
            etag: '"' + (entry.lfs ? entry.lfs.oid : entry.oid) + '"',
            type: type || tables.BINARY,
            location: slices.wanted(entry.size) ? '/-/slices' : type ? '/-/blob.' + suffix : '/-/blob',
            caching: cachingOf(opened)};
}

// A name that only begins with a dot has none, as for nginx.
function suffixOf(path) {
    const name = path.slice(path.lastIndexOf('/') + 1), dot = name.lastIndexOf('.');
    return dot > 0 ? name.slice(dot + 1) : '';
}

// So that a client's HEAD and GET never meet two revisions. Never for what is not there: who only asks whether a file exists
// follows no redirect, and believes it.
function redirectToCommit(r, fields, opened) {
    requests.redirect(r, answers.settled(opened), '/' + fields.place + fields.id + '/resolve/' + opened.commit + '/' + fields.path);
}

// What the address of a pinned file leads to: nginx keeps it a while.
async function pinnedFile(r, fields) {
    const opened = await snapshots.open(r, fields);
    const path = requests.decoded(fields.path), entry = await fileEntry(r, opened, path);
    const links = await linksOf(r, fields, opened);
    return Object.assign(blobOf(opened, path, entry), links);
}

export default { atReplicas, blobOf, fileEntry, infoTag, infoText, pointers: {file: pinnedFile, repo: told, revision: told},
                 routes: {harnesses, whoami, organization, listed, refs, auth_check, xet_token, repo, revision, commits, tree, paths_info, file, raw} };
