// S3, to read from: mirror_sync/front/protocols/s3.py, s3_listing.py and s3_addresses.py in JavaScript. njs 0.7.9 wants `await`
// in statements of their own.

import access from 'access.js';
import answers from 'answers.js';
import hub from 'hub.js';
import listing from 'listing.js';
import lists from 'lists.js';
import requests from 'requests.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const OWN = tables.OF.s3;
const PAST = '\x7f';  // follows every letter of a sortKey
const BEGINNING = {key: '', past: false, root: ''};
const TOKEN = /^[A-Za-z0-9_\-]+={0,2}$/;
const NO_DIGIT = /[^0-9]/;  // in njs a dollar also matches before a line feed at the end
const LARGEST = 2147483647;
const LAST = '~~~~~~~~';  // of what a name may begin with, what comes last

// ---- addresses

// The address below ROOT that a request for this door comes to.
function addressed(r) {
    const path = r.variables.request_uri.split('?')[0].replace(/^\/+/, ''), at = path.indexOf('/');
    return OWN.ROOT + '/' + place(r, at < 0 ? path : path.slice(0, at), at < 0 ? '' : path.slice(at + 1));
}

function place(r, bucket, key) {
    const has = (name) => r.args[name] !== undefined, known = OWN.BUCKETS.indexOf(bucket) >= 0;
    if (!bucket || tables.READABLE.indexOf(r.method) < 0) {
        return 'buckets';  // by whose route it is refused where something would be written
    }
    if (tables.ACCESS.tokens && OWN.PRESIGNED.some(has)) {
        return 'presigned';
    }
    if (!known || OWN.SUBRESOURCES.some(has)) {
        return known ? 'other' : 'none';
    }
    if (key) {
        return 'object/' + bucket + '/' + key;
    }
    if (r.method === 'HEAD' || has('location')) {
        return (r.method === 'HEAD' ? 'bucket/' : 'location/') + bucket;
    }
    return 'list/' + bucket + '/' + listing.sortKey(first(r, 'prefix') || '') + '!';
}

function first(r, name) {
    return Array.isArray(r.args[name]) ? r.args[name][0] : r.args[name];
}

// ---- what is asked for of a bucket

function queryOf(r) {
    const newer = first(r, 'list-type') === '2', most = first(r, 'max-keys') || '1000';
    const delimiter = first(r, 'delimiter') || '', encoding = first(r, 'encoding-type');
    if (NO_DIGIT.test(most) || most.length > 10 || Number(most) > LARGEST) {
        throw answers.refusal(400, OWN.WORDS.keys);
    }
    if (delimiter !== '' && delimiter !== '/') {
        throw answers.refusal(501, OWN.WORDS.delimiter);
    }
    if (encoding && encoding !== 'url') {
        throw answers.refusal(400, OWN.WORDS.encoding);
    }
    const start = first(r, newer ? 'start-after' : 'marker') || '', token = newer ? first(r, 'continuation-token') : undefined;
    return {
        after: token === undefined ? {key: start, past: delimiter === '/' && start.endsWith('/'), root: ''} : ofToken(token),
        cut: delimiter === '/',
        encoded: encoding === 'url',
        most: Math.min(Number(most), OWN.MOST_KEYS),
        newer,
        owner: !newer || first(r, 'fetch-owner') === 'true',
        prefix: first(r, 'prefix') || '',
        start: first(r, newer ? 'start-after' : 'marker'),
        token,
    };
}

// Where a page goes on: behind a key; where it is `past`, behind all that begin so. `root`: see KeyPosition in Python.
function ofToken(text) {
    let known = null;
    try {
        if (TOKEN.test(text) && text.length % 4 === 0 && text.indexOf('\n') < 0) {
            known = JSON.parse(Buffer.from(text.replace(/-/g, '+').replace(/_/g, '/'), 'base64').toString());
        }
    } catch (error) {
        known = null;
    }
    if (!Array.isArray(known) || known.length !== 3 || typeof known[0] !== 'string' || typeof known[2] !== 'string'
        || [0, 1].indexOf(known[1]) < 0) {
        throw answers.refusal(400, OWN.WORDS.token);
    }
    return {key: known[0], past: known[1] === 1, root: known[2]};
}

function tokenOf(at) {
    const text = Buffer.from(JSON.stringify([at.key, at.past ? 1 : 0, at.root])).toString('base64');
    return text.replace(/\+/g, '-').replace(/\//g, '_');
}

// The same position within `base`; null where all of that is behind it.
function below(at, base) {
    if (at.key.startsWith(base)) {
        return at.past && at.key === base ? null : {key: at.key.slice(base.length), past: at.past, root: at.root};
    }
    return listing.sortKey(base) > seekOf(at) ? BEGINNING : null;
}

// The least sortKey that is not before it.
function seekOf(at) {
    return listing.sortKey(at.key) + (at.past ? PAST : '');
}

// ---- a page as it grows

function newPage(r) {
    const query = queryOf(r);
    return {query, items: [], more: false, root: '', at: query.after, reads: 0};
}

// Whether there was room for a file, or without an `entry` for all that begins so.
function add(page, key, entry, modified) {
    if (page.items.length >= page.query.most) {
        page.more = page.query.most > 0;
        return false;
    }
    page.items.push({key, entry, modified});
    page.at = {key, past: !entry, root: page.root};
    return true;
}

function mayRead(page) {
    if (page.reads >= OWN.MOST_READS) {
        page.more = true;
        return false;
    }
    page.reads += 1;
    return true;
}

// ---- from buckets down to files: each says whether to go on

async function walkRepos(r, page, kinds) {
    const query = page.query, low = query.prefix.toLowerCase(), seen = Object.create(null), id = idOf(query.after.key);
    const behind = id.toLowerCase() + (query.after.past && id === query.after.key ? PAST : '');
    let next = low > behind ? low : behind;
    while (next !== null) {
        if (!mayRead(page)) {
            return;
        }
        const found = await lists.page(r, {kind: kinds.slice(0, -1), author: '', gated: null, search: [], filters: [], limit: OWN.REPOS,
                                           start: next, order: '', behind: ''});
        const ids = found.items.map((item) => JSON.parse(item).id);
        for (let i = 0; i < ids.length; i++) {
            if (!ids[i].toLowerCase().startsWith(low) && ids[i].toLowerCase() > low) {
                return;
            }
            if (ids[i].startsWith(query.prefix) && ids[i].indexOf('/') >= 0) {
                const going = await walkRepo(r, page, kinds, ids[i], seen);
                if (!going) {
                    return;
                }
            }
        }
        next = found.next;
    }
}

async function walkRepo(r, page, kinds, id, seen) {
    const base = id + '/', after = page.query.after, inside = after.key.startsWith(base) && !(after.past && after.key === base);
    if (!inside && isBehind(after, id.toLowerCase())) {
        return true;
    }
    if (page.query.cut) {
        const whole = base.slice(0, base.indexOf('/', page.query.prefix.length) + 1), met = seen['"' + whole];
        seen['"' + whole] = true;
        return met || add(page, whole);
    }
    if (!mayRead(page)) {
        return false;
    }
    const refs = await seenRefs(r, kinds, id), within = inside ? below(after, base) : BEGINNING;
    if (refs !== null && within !== null) {
        const going = await walkRevisions(r, page, refs, base, '', within);
        if (!going) {
            return false;
        }
    }
    if (!page.items.length) {
        page.at = {key: base, past: true, root: ''};
    }
    return true;
}

// Whether a repo, by its id in lower case, comes before where the page begins, in the order of the lists.
function isBehind(after, low) {
    const known = idOf(after.key).toLowerCase();
    return after.key.toLowerCase().startsWith(known + '/') ? low <= known : low < known + (after.past ? PAST : '');
}

// What is published of a repo that who asks may see, or null.
async function seenRefs(r, kinds, id) {
    const refs = await snapshots.read(r, kinds, id);
    if (refs === null || (refs.attachments || {}).tombstone || !Object.keys(refs.snapshots).length) {
        return null;
    }
    const closed = await snapshots.isClosed(r, refs);
    return access.decide(access.who(r).role, kinds, id, closed) === 'hidden' ? null : refs;
}

async function walkRevisions(r, page, refs, base, begins, after) {
    const names = namesOf(refs, begins);
    for (let i = 0; i < names.length; i++) {
        const within = below(after, names[i] + '/');
        if (within === null) {
            continue;
        }
        const going = await walkRevision(r, page, refs, base, names[i], within);
        if (!going) {
            return false;
        }
    }
    return true;
}

async function walkRevision(r, page, refs, base, name, within) {
    if (page.query.cut) {
        return add(page, base + name + '/');
    }
    const commit = snapshots.leadsTo(refs, name), digest = refs.snapshots[commit], root = await snapshots.rootOf(r, digest);
    const going = await walkFiles(r, page, {commit, digest, root}, base + name + '/', '', within);
    return going;
}

async function walkFiles(r, page, opened, base, prefix, after) {
    const shards = opened.root.shards, least = listing.sortKey(prefix), seek = seekOf(after);
    page.root = opened.digest.slice(0, 16);
    if (after.root && after.root !== page.root) {
        throw answers.refusal(400, tables.MESSAGES.gone);
    }
    let skip = '', number = listing.shardAt(opened.root, least > seek ? least : seek);
    while (number < shards.length && shards[number][0] < least + PAST) {
        if (!mayRead(page)) {
            return false;
        }
        const text = await snapshots.shard(r, opened.root, number), lines = listing.lines(text);
        for (let i = 0; i < lines.length; i++) {
            const path = lines[i].startsWith('{"type":"file"') ? listing.pathOf(lines[i]) : '', key = listing.sortKey(path);
            if (!path || key < skip || key <= seek || !path.startsWith(prefix)) {
                continue;
            }
            const slash = page.query.cut ? path.indexOf('/', prefix.length) : -1, whole = path.slice(0, slash + 1);
            skip = slash < 0 ? skip : listing.sortKey(whole) + PAST;
            if (!(slash < 0 ? add(page, base + path, JSON.parse(lines[i]), opened.root.last.date) : add(page, base + whole))) {
                return false;
            }
        }
        number = Math.max(number + 1, listing.shardAt(opened.root, skip));
    }
    page.root = '';
    return true;
}

function idOf(key) {
    return key.split('/').slice(0, 2).join('/');
}

// The names of one part that lead to a commit, of those that begin so, in the order of listings.
function namesOf(refs, begins) {
    const every = refs.branches.concat(refs.tags).map((ref) => ref.name).concat(Object.keys(refs.channels || {}));
    const fit = every.filter((name, at) => every.indexOf(name) === at && name.startsWith(begins) && name.indexOf('/') < 0
                                           && snapshots.leadsTo(refs, name));
    return fit.map((name) => ({name, key: listing.sortKey(name + '/')}))
        .sort((one, other) => one.key < other.key ? -1 : one.key > other.key ? 1 : 0).map((one) => one.name);
}

// ---- answers

async function s3_buckets(r) {
    const every = OWN.BUCKETS.map((one) => '<Bucket><Name>' + one + '</Name><CreationDate>' + OWN.NO_DATE + '</CreationDate></Bucket>');
    tell(r, 'ListAllMyBucketsResult', OWN.OWNER + '<Buckets>' + every.join('') + '</Buckets>');
}

async function s3_location(r) {
    tell(r, 'LocationConstraint', '');
}

async function s3_bucket(r) {
    answers.send(r, 200, headersOf(), '');
}

async function s3_none() {
    throw answers.refusal(404, OWN.WORDS.bucket, 'NoSuchBucket');
}

async function s3_other() {
    throw answers.refusal(501, OWN.WORDS.other);
}

async function s3_presigned() {
    throw answers.refusal(403, OWN.WORDS.presigned);
}

async function s3_files(r, fields) {
    const page = newPage(r), prefix = requests.decoded(fields.prefix), opened = await here(() => snapshots.open(r, fields), fields);
    const base = page.query.prefix.slice(0, page.query.prefix.length - prefix.length), after = below(page.query.after, base);
    if (after !== null) {
        await walkFiles(r, page, opened, base, prefix, after);
    }
    tellPage(r, fields, page);
}

async function s3_revisions(r, fields) {
    const page = newPage(r), after = below(page.query.after, fields.id + '/');
    const refs = await here(() => snapshots.refsOf(r, fields), fields);
    if (after !== null) {
        await walkRevisions(r, page, refs, fields.id + '/', requests.decoded(fields.part), after);
    }
    tellPage(r, fields, page);
}

async function s3_repos(r, fields) {
    const page = newPage(r);
    if (!tables.SITE) {
        throw answers.refusal(501, tables.MESSAGES.site);
    }
    let refusal = null;
    try {
        await walkRepos(r, page, fields.kinds);
    } catch (error) {  // that there are no lists is no word of S3's for an empty bucket
        refusal = error.refused ? answers.refusal(error.status === 404 ? 501 : error.status, error.message) : error;
    }
    if (refusal !== null) {
        throw refusal;
    }
    tellPage(r, fields, page);
}

async function s3_nothing(r, fields) {
    tellPage(r, fields, newPage(r));
}

async function s3_object(r, fields) {
    const opened = await here(() => snapshots.open(r, fields), fields), path = requests.decoded(fields.path);
    const file = await hub.fileEntry(r, opened, path), found = hub.blobOf(opened, path, file), etag = '"' + file.sha256 + '-1"';
    const asked = r.headersIn['If-Match'], match = asked === undefined ? '*' : asked.trim();
    const ranged = r.headersIn.Range !== undefined && r.method === 'GET';
    if (['*', etag, etag.slice(1, -1)].indexOf(match) < 0) {
        throw answers.refusal(412, OWN.WORDS.held);
    }
    const more = {'Last-Modified': new Date(dated(opened.root.last.date)).toUTCString()};
    if (/^enabled$/i.test(r.headersIn['x-amz-checksum-mode'] || '') && !ranged && !answers.isCurrent(r, etag)) {
        more['x-amz-checksum-sha256'] = Buffer.from(file.sha256, 'hex').toString('base64');
        more['x-amz-checksum-type'] = 'FULL_OBJECT';
    }
    const blob = {digest: file.sha256, size: file.size, sized: true, commit: opened.commit, etag, more,
                  type: found.type, caching: tables.CACHING.linked, location: found.location.replace('/-/', '/-/s3/')};
    if (answers.isCurrent(r, etag)) {
        return answers.sendBlob(r, blob);
    }
    if (r.method === 'HEAD' && match === '*') {
        return answers.sendHead(r, Object.assign({'Content-Type': blob.type, 'Cache-Control': blob.caching, ETag: etag,
                                                  'X-Repo-Commit': opened.commit}, more), file.size);
    }
    r.variables.s3_modified = more['Last-Modified'];
    r.variables.s3_checksum = more['x-amz-checksum-sha256'] || '';
    r.variables.s3_checksum_type = more['x-amz-checksum-type'] || '';
    if (match !== '*') {
        blob.location = '/-/s3/again';  // nginx itself would refuse what has a condition that it does not know
        blob.isCompared = true;  // it is that of the object: a HEAD is not refused for it either
    }
    answers.sendBlob(r, blob);
}

// A repo under another id is none here: no client of S3 follows to it.
async function here(find, fields) {
    let found = null;
    try {
        found = await find();
    } catch (error) {
        const repo = snapshots.named(fields);
        throw error.elsewhere ? Object.assign(answers.refusal(404, tables.MESSAGES.repo, 'RepoNotFound'), repo ? {repo} : {}) : error;
    }
    return found;
}

function dated(date) {
    const at = Date.parse(date || '');
    return isNaN(at) ? 0 : at;
}

// ---- XML

function headersOf() {
    return {'Content-Type': OWN.XML, 'Cache-Control': tables.CACHING.linked, 'x-amz-bucket-region': OWN.REGION};
}

function tell(r, tag, body) {
    answers.send(r, 200, headersOf(), OWN.XML_HEAD + '<' + tag + ' xmlns="' + OWN.NAMESPACE + '">' + body + '</' + tag + '>');
}

function tellPage(r, fields, page) {
    const query = page.query, named = (text) => query.encoded ? listing.sortKey(text) : answers.inXml(text);
    const one = (tag, text) => text === undefined ? '' : '<' + tag + '>' + text + '</' + tag + '>';
    const next = page.more ? page.at : null;
    let head = one('Name', fields.kinds) + one('Prefix', named(query.prefix)) + one('MaxKeys', query.most)
        + one('Delimiter', query.cut ? '/' : undefined) + one('EncodingType', query.encoded ? 'url' : undefined);
    if (query.newer) {
        head += one('KeyCount', page.items.length)
            + one('ContinuationToken', query.token === undefined ? undefined : answers.inXml(query.token))
            + one('StartAfter', query.start === undefined ? undefined : named(query.start))
            + one('NextContinuationToken', next ? tokenOf(next) : undefined);
    } else {
        head += one('Marker', named(query.start || '')) + one('NextMarker', next ? named(next.key + (next.past && !query.cut ? LAST : '')) : undefined);
    }
    const keys = page.items.filter((item) => item.entry).map((item) => '<Contents>' + one('Key', named(item.key))
        + one('LastModified', answers.inXml(item.modified || OWN.NO_DATE)) + one('ETag', '&quot;' + item.entry.sha256 + '-1&quot;')
        + one('Size', item.entry.size) + (query.owner ? OWN.OWNER : '') + '<StorageClass>STANDARD</StorageClass></Contents>');
    const cut = page.items.filter((item) => !item.entry).map((item) => one('CommonPrefixes', one('Prefix', named(item.key))));
    tell(r, 'ListBucketResult', head + one('IsTruncated', String(page.more)) + keys.join('') + cut.join(''));
}

export default { addressed, routes: {s3_buckets, s3_location, s3_bucket, s3_none, s3_other, s3_presigned, s3_files, s3_revisions,
                                     s3_repos, s3_nothing, s3_object} };
