// The Hub's URLs, answered from a bucket of blobs and refs: mirror_sync/front/hub/hub_api.py in JavaScript, one function for
// every route of tables.js. njs 0.7.9 wants `await` in statements of their own.

import answers from 'answers.js';
import bucket from 'bucket.js';
import catalogue from 'catalogue.js';
import listing from 'listing.js';
import lists from 'lists.js';
import reasons from 'reasons.js';
import requests from 'requests.js';
import slices from 'slices.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const crypto = require('crypto');

const BAD_PERCENT = /%(?![0-9A-Fa-f]{2})|%00/;

// Answers any request.
async function answer(r) {
    let refusal = null;
    try {
        await route(r);
    } catch (error) {
        if (error.elsewhere) {
            return toOther(r, error.fields, error.elsewhere);
        }
        if (!error.refused) {
            return fail(r, error);
        }
        refusal = error;
    }
    if (refusal) {
        await refuse(r, refusal);
    }
}

async function refuse(r, refusal) {
    try {
        await reasons.refuse(r, refusal);
    } catch (error) {
        fail(r, error);
    }
}

function fail(r, error) {
    r.error('cannot answer ' + r.variables.request_uri + ': ' + error.message);
    badBucket(r);
}

async function route(r) {
    refuseOdd(r.variables.request_uri.split('?')[0]);
    if (r.method === 'OPTIONS' && tables.PREFLIGHT) {
        return answers.send(r, 204, tables.PREFLIGHT);
    }
    const found = match(r.variables.request_uri.split('?')[0]);
    if (found === null) {
        throw lacking(r);
    }
    if (found.route.methods.indexOf(r.method) < 0) {
        throw answers.refusal(405, tables.MESSAGES.method, '', {Allow: found.route.methods.join(', ')});
    }
    await ANSWERS[found.route.name](r, found.fields);
}

function refuseOdd(path) {
    if (path.length > tables.LONGEST_ADDRESS) {
        throw answers.refusal(414, tables.MESSAGES.address);
    }
    if (tables.DOTS.test(path) || BAD_PERCENT.test(path)) {
        throw answers.refusal(400, tables.MESSAGES.path);
    }
}

function match(path) {
    for (let i = 0; i < tables.ROUTES.length; i++) {
        const found = tables.ROUTES[i].pattern.exec(path);
        if (found) {
            return {route: tables.ROUTES[i], fields: found.groups};
        }
    }
    return null;
}

// What is no route: with the words for what a mirror does not do.
function lacking(r) {
    const path = r.variables.request_uri.split('?')[0], lack = tables.LACKS.filter((one) => one.pattern.test(path))[0];
    if (tables.READABLE.indexOf(r.method) < 0 && (!lack || lack.form === 'json')) {
        return answers.refusal(405, tables.MESSAGES.method, '', {Allow: tables.READABLE.join(', ')});
    }
    return lack ? Object.assign(answers.refusal(404, lack.message), {form: lack.form})
                : answers.refusal(404, tables.MESSAGES.nothing);
}

// A 307 to the same under another id, as the Hub's: an absolute path, which the oldest clients follow too.
function toOther(r, fields, id) {
    const before = fields.kinds ? '/api/' + fields.kinds + '/' : '/' + fields.place;
    const after = r.variables.request_uri.replace(/^\/+/, '/').slice((before + fields.id).length);
    toOurs(r, {'Cache-Control': tables.CACHING.moving}, before + id + after);
}

// A 307 to one of our own addresses. What a client said of itself is not for others to see.
function toOurs(r, headers, target) {
    const prefix = requests.prefix(r), said = tables.PUBLIC_URL ? {} : {Vary: tables.PREFIX};
    if (prefix && !tables.PUBLIC_URL) {
        said['Cache-Control'] = tables.CACHING.linked;
    }
    answers.redirect(r, 307, Object.assign({}, headers, said), prefix + target);
}

// While this is missing every process of huggingface_hub asks again; anything else in it breaks downloads.
async function harnesses(r) {
    answers.sendJson(r, tables.HARNESSES, {'Cache-Control': tables.CACHING.settled});
}

async function listed(r, fields) {
    if (!tables.SITE) {
        throw answers.refusal(404, tables.MESSAGES.site);
    }
    if (fields.kinds === 'spaces') {
        throw lacking(r);
    }
    await lists.listed(r, fields.kinds);
}

async function healthz(r) {
    answers.send(r, 200, {'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': tables.CACHING.never}, 'ok\n');
}

async function blob(r, fields) {
    if (!tables.BY_DIGEST) {
        throw answers.refusal(404, tables.MESSAGES.digests);
    }
    if (fields.digest.slice(0, 2) !== fields.shelf) {
        throw answers.entryNotFound();
    }
    answers.sendBlob(r, {digest: fields.digest, etag: '"' + fields.digest + '"', type: tables.BINARY,
                         caching: tables.CACHING.immutable, location: '/-/blob'});
}

async function refs(r, fields) {
    const document = await snapshots.refsOf(r, fields);
    const told = {};  // the rest is ours
    tables.REF_GROUPS.forEach((group) => {
        told[group] = document[group];
    });
    answers.sendJson(r, JSON.stringify(told));
}

async function auth_check(r, fields) {
    await snapshots.refsOf(r, fields);
    answers.sendJson(r, '{"ok":true}');
}

async function repo(r, fields) {
    await revision(r, Object.assign({rev: 'main'}, fields));
}

async function revision(r, fields) {
    const opened = await snapshots.open(r, fields), etag = '"' + opened.root.info + tables.ADDED + '"';
    const headers = Object.assign({ETag: etag}, answers.settled(opened));
    if (answers.isCurrent(r, etag)) {
        return answers.send(r, 304, headers);
    }
    const text = await bucket.document(r, opened.root.info);
    answers.sendJson(r, '{' + tables.UNKNOWN_COUNTS + text.slice(1), headers);
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
        answers.sendBlob(r, blobOf(opened, path, entry));
    }
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
    toOurs(r, answers.settled(opened), '/' + fields.place + fields.id + '/resolve/' + opened.commit + '/' + fields.path);
}

// ---- what nginx's own locations ask

// Where the blob of a pinned file is, in headers, for nginx to keep a while; 403 stands for one that is sent in slices, 204
// sends the question to `answer`.
async function pointer(r) {
    try {
        const target = r.variables.request_uri.split('?')[0];
        refuseOdd(target);
        const found = match(target);
        if (found.route.name !== 'file') {
            throw new Error('not the address of a file');
        }
        const opened = await snapshots.open(r, found.fields);
        const path = requests.decoded(found.fields.path), entry = await fileEntry(r, opened, path);
        const blob = blobOf(opened, path, entry);
        answers.send(r, slices.wanted(blob.size) ? 403 : 200, answers.pointerHeaders(blob), '');
    } catch (error) {
        answers.send(r, 204, {});
    }
}

// The bucket has no such blob. What a published snapshot names must be there; what a client names need not.
// Who asked for the location itself has named none: a path like any other.
function noBlob(r) {
    if (r.variables.blob_commit) {
        badBucket(r);
    } else if (!r.variables.blob_digest) {
        answer(r);
    } else {
        refuseMissing(r, r.variables.blob_key, answers.entryNotFound());
    }
}

async function refuseMissing(r, key, refusal) {
    let missing = false;
    try {
        missing = await bucket.saidMissing(r, key);
    } catch (error) {
        return fail(r, error);
    }
    await refuse(r, missing ? refusal : answers.refusal(502, tables.MESSAGES.bucket));
}

function noPage(r) {
    const name = (r.variables.request_uri.split('?')[0].replace(/^\/+-\//, '') || 'index.html');
    refuseMissing(r, 'site/' + name, answers.refusal(404, tables.MESSAGES.nothing));
}

// A bucket that refuses, or does not answer, is not an empty one.
function badBucket(r) {
    answers.refuse(r, answers.refusal(502, tables.MESSAGES.bucket));
}

// nginx finds that no byte of a file is wanted when it has given the file's headers already: they go.
function unsatisfiable(r) {
    const size = r.variables.blob_size;
    Object.keys(r.headersOut).forEach((name) => {
        delete r.headersOut[name];
    });
    answers.refuse(r, answers.refusal(416, tables.MESSAGES.range, '', size ? {'Content-Range': 'bytes */' + size} : {}));
}

const root = catalogue.root, site = catalogue.site, page = catalogue.page;
const ANSWERS = {harnesses, listed, healthz, root, site, page, blob, refs, auth_check, repo, revision, commits, tree, paths_info, file,
                 raw};

export default { missing: reasons.missing, answer: slices.never(answer), badBucket: slices.never(badBucket), noBlob: slices.never(noBlob),
                 noPage, pointer, rangedType: requests.rangedType, typed: catalogue.typed, unsatisfiable: slices.never(unsatisfiable) };
