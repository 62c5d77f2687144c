// Answers every request from a bucket of blobs and refs: mirror_sync/front/protocols/mounted.py in JavaScript.
// njs 0.7.9 wants `await` in statements of their own.

import access from 'access.js';
import answers from 'answers.js';
import bucket from 'bucket.js';
import catalogue from 'catalogue.js';
import hub from 'hub.js';
import misses from 'misses.js';
import protocols from 'protocols.js';
import reasons from 'reasons.js';
import requests from 'requests.js';
import s3door from 's3door.js';
import settings from 'settings.js';
import shares from 'shares.js';
import slices from 'slices.js';
import snapshots from 'snapshots.js';
import tagged from 'tagged.js';
import tables from 'tables.js';

const fs = require('fs');

const ABSENT = ['RepoNotFound', 'RevisionNotFound'];
const AS_OF = /^\{"format":1,"published":"([0-9TZ:.-]{16,32})","copy":"[0-9A-Za-z]*"\}\s*$/;
const BAD_PERCENT = /%(?![0-9A-Fa-f]{2})|%00/;

// Answers any request.
async function answer(r) {
    let refusal = null;
    try {
        await route(r);
    } catch (error) {
        if (!error.refused) {
            return fail(r, error);
        }
        refusal = error;
    }
    const listed = refusal && ABSENT.indexOf(refusal.code) >= 0 ? match(answers.pathOf(r)) : null;
    if (listed !== null && listed.route.listing) {
        await listNothing(r, listed.fields);
    } else if (refusal) {
        r.variables.kept_for = '';  // no cache keeps a refusal; and what is hidden has no header that what is not there lacks
        await refuse(r, refusal);
    }
}

// Where a listing asks for what is not there, nothing is.
async function listNothing(r, fields) {
    r.variables.kept_for = tables.ACCESS.chooses ? 'role' : '';
    try {
        await protocols.routes.s3_nothing(r, fields);
    } catch (error) {
        answers.refuse(r, error);
    }
}

// Answers a request of the S3 door.
async function s3(r) {
    r.variables.s3_address = s3door.addressed(r);
    await answer(r);
}

async function refuse(r, refusal) {
    try {
        const said = orToken(r, refusal), found = refusal.repo ? match(answers.pathOf(r)) : null;
        const told = await misses.told(r, said, found ? found.route.name : '');
        if (told !== null) {
            challenge(r, told);
            await reasons.refuse(r, told);
        }
    } catch (error) {
        fail(r, error);
    }
}

// Clients of registries send no token before they were told to: so whatever repo is not there for one without a token, is one
// for which a token is wanted.
function orToken(r, refusal) {
    if (refusal.code !== 'RepoNotFound' || !tables.ACCESS.tokens) {
        return refusal;
    }
    const found = match(answers.pathOf(r)), asking = access.who(r);
    return found !== null && found.route.tagged && asking.badge === 'none' ? access.tokenWanted(asking) : refusal;
}

// Whoever has no token is told as clients of registries want it where one is given, but for that place itself.
function challenge(r, refusal) {
    const path = answers.pathOf(r), origin = refusal.status === 401 ? requests.origin(r) : '';
    if (!origin || answers.formAt(r) !== 'oci' || /^\/+v2\/token\/?$/.test(path)) {
        return;
    }
    const found = /^\/+v2\/([A-Za-z0-9._\/-]+)\/(?:manifests|blobs|tags|referrers)\/.*$/.exec(path);
    const scope = found ? ',scope="repository:' + found[1] + ':pull"' : '';
    refusal.headers['WWW-Authenticate'] = 'Bearer realm="' + origin + '/v2/token",service="mirror-sync"' + scope;
}

function fail(r, error) {
    r.error('cannot answer ' + r.variables.request_uri + ': ' + error.message);
    badBucket(r);
}

async function route(r) {
    const path = answers.pathOf(r);
    refuseOdd(path);
    if (r.method === 'OPTIONS' && tables.PREFLIGHT) {
        return answers.send(r, 204, tables.PREFLIGHT);
    }
    await asOf(r);
    const found = match(path), asking = access.who(r);
    if (found === null || tables.SHUT.indexOf(found.route.name) >= 0) {
        access.atDoor(asking, undefined);
        throw lacking(r);
    }
    if (found.route.methods.indexOf(r.method) < 0) {
        throw answers.refusal(405, tables.MESSAGES.method, '', {Allow: found.route.methods.join(', ')});
    }
    Object.assign(found.fields, askedFor(r, found.route));
    if (found.route.tagged && !asking.barred) {  // nothing is read for who is refused anyway
        found.fields = await tagged.named(r, asking, found.fields);
    }
    const everybody = await admitted(r, asking, found);
    if (tables.ACCESS.chooses && found.route.needs !== 'nothing') {
        r.variables.kept_for = everybody && !tables.ACCESS.allow.length ? 'all' : 'role';
    }
    const fields = await shares.arm(r, asking, found);
    let other = null;
    try {
        await protocols.routes[found.route.name](r, fields);
    } catch (error) {
        if (!error.elsewhere) {
            throw error.unanswered ? lacking(r) : error.repo ? access.unfound(asking, error.repo) : error;
        }
        other = error.elsewhere;
    }
    if (other !== null) {
        await elsewhere(r, asking, found, other);
    }
}

// Of a replica all that may change says up to when it has what its target has published: see snapshots.py. No answer fails
// for that.
async function asOf(r) {
    try {
        const text = await bucket.read(r, 'site/replica.json');
        const said = text === null ? null : AS_OF.exec(text);
        r.variables.as_of = said ? said[1] : '';
    } catch (error) {
        r.variables.as_of = '';
    }
}

// Whether what is answered is for everybody. A refusal where it is not for who asks: see doorkeeper.py.
async function admitted(r, asking, found) {
    const said = access.atDoor(asking, found.route.needs), repo = snapshots.named(found.fields);
    if (said !== null || repo === null) {
        return said === null || said;
    }
    const refs = await snapshots.read(r, repo.kinds, repo.id);
    found.fields.held = {refs};  // what is decided about is what is answered from
    if (refs === null) {
        return true;
    }
    const closed = await snapshots.isClosed(r, refs);
    return access.atRepo(asking, found.route.needs, repo, closed, Object.keys(refs.snapshots).length > 0);
}

// Where a reader may see the other repo, that is told to be there; else it is as if nothing were here.
async function elsewhere(r, asking, found, id) {
    const meant = snapshots.named(found.fields);
    if (meant !== null) {
        const refs = await snapshots.read(r, meant.kinds, id);
        const closed = refs === null ? false : await snapshots.isClosed(r, refs);
        if (access.decide(asking.role, meant.kinds, id, closed) === 'hidden') {
            throw access.unfound(asking, meant);
        }
    }
    if (tables.ACCESS.chooses) {
        r.variables.kept_for = 'role';
    }
    toOther(r, found, id);
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
            return {route: tables.ROUTES[i], fields: found.groups || {}};
        }
    }
    return null;
}

// What the fields of a route in the query hold, percent-encoded as those of a path.
function askedFor(r, route) {
    const found = {};
    Object.keys(route.query).forEach((name) => {
        const value = requests.argument(r, route.query[name]);
        found[name] = encodeURIComponent(name === 'rev' && route.mains.indexOf(value) >= 0 ? 'main' : value);
    });
    return found;
}

// What is no route: with the words for what a mirror does not do.
function lacking(r) {
    const path = answers.pathOf(r), lack = tables.LACKS.filter((one) => one.pattern.test(path))[0];
    if (tables.READABLE.indexOf(r.method) < 0 && (!lack || lack.form === 'json' || lack.form === 'oci')) {
        return answers.refusal(405, tables.MESSAGES.method, '', {Allow: tables.READABLE.join(', ')});
    }
    return lack ? Object.assign(answers.refusal(404, lack.message), {form: lack.form})
                : answers.refusal(404, tables.MESSAGES.nothing);
}

// A 307 to the same under another id, as the Hub's: an absolute path, which the oldest clients follow too.
function toOther(r, found, id) {
    const before = found.route.before.replace(/\{([a-z]+)\}/g, (_, name) => found.fields[name]);
    const after = r.variables.request_uri.replace(/^\/+/, '/').slice((before + found.fields.id).length);
    requests.redirect(r, {'Cache-Control': tables.CACHING.moving}, before + id + after);
}

// ---- what nginx's own locations ask

// Where the blob of a pinned file is, or an info, in headers, for nginx to keep a while; 403 stands for one that is sent in slices, 204
// sends the question to `answer`.
async function pointer(r) {
    try {
        const target = r.variables.request_uri.split('?')[0].replace(/^\/told\//, '/');
        refuseOdd(target);
        const found = match(target), asking = access.who(r);
        const everybody = await admitted(r, asking, found);
        const fields = await shares.arm(r, asking, found);
        if (r.variables.kept_for === 'one') {
            throw answers.unanswered();
        }
        const blob = await protocols.pointers[found.route.name](r, fields);
        if (!answers.isImmutable(blob.caching)) {
            await asOf(r);
        }
        if (tables.ACCESS.chooses && !(everybody && !tables.ACCESS.allow.length)) {
            blob.caching = blob.caching.replace('public', 'private');
        }
        // of what is so large the script answers a HEAD, by who asks
        const apart = slices.wanted(blob.size) || settings.TELLS_HEADS && blob.size > tables.SIZE_SAID_UP_TO;
        answers.send(r, apart ? 403 : 200, answers.pointerHeaders(blob), '');
    } catch (error) {
        answers.send(r, 204, {});
    }
}

// An info by its digest, for nginx to keep: it never changes.
async function info(r) {
    try {
        const digest = r.variables.request_uri.slice('/info/'.length), text = await hub.infoText(r, digest);
        answers.sendJson(r, text, {ETag: hub.infoTag(digest), 'Cache-Control': ''});
    } catch (error) {
        fail(r, error);
    }
}

// What an upstream says of a root, for nginx to keep: see snapshots.js.
async function closed(r) {
    try {
        const said = await snapshots.closing(r, r.variables.request_uri.slice('/closed/'.length));
        r.return(200, said);
    } catch (error) {
        fail(r, error);
    }
}

// How many entries some shards of a root have, for nginx to keep: see listing.js.
async function counts(r) {
    try {
        const asked = r.variables.request_uri.split('/');
        const found = await snapshots.counts(r, asked[2], Number(asked[3]));
        r.return(200, JSON.stringify(found));
    } catch (error) {
        fail(r, error);
    }
}

// The bucket has no such blob. What something published names must be there; what a client names need not.
// Who asked for the location itself has named none: a path like any other.
async function noBlob(r) {
    if (!r.variables.blob_digest) {
        return answer(r);
    }
    const cold = coldLocation(r);
    if (cold) {
        return r.internalRedirect(cold);
    }
    if (settings.BUCKET.cold_far) {
        const told = await frozen(r, false);
        if (told) {
            return answers.refuse(r, told);
        }
    }
    if (!/^\/+blobs\//.test(r.variables.request_uri)) {
        badBucket(r);
    } else {
        refuseMissing(r, r.variables.blob_key, answers.entryNotFound());
    }
}

// Where nginx finds a blob in the folder of the cold tier: headers are as where it was looked for first. '' where it is not there.
function coldLocation(r) {
    const root = settings.BUCKET.cold_root, v = r.variables;
    if (!root || /^\/-\/cold\//.test(r.uri)) {
        return '';
    }
    try {
        fs.accessSync(root + '/' + v.blob_key);
    } catch (error) {
        return '';
    }
    const door = /^\/-\/(oci|s3)\/(again)?/.exec(r.uri);
    return '/-/cold/' + (door ? door[2] || door[1] : 'blob');
}

// What is said of a blob in a cold tier that gives nothing at once; null where it is not known to be there.
async function frozen(r, known) {
    try {
        const found = match(answers.pathOf(r)), repo = found ? snapshots.named(found.fields) : null;
        const told = await misses.frozen(r, repo, r.variables.blob_key, known);
        return told;
    } catch (error) {
        r.error('cannot ask for ' + r.variables.request_uri + ': ' + error.message);
        return null;
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

// A document that is a part of a page of the catalogue: who may have it is known by now.
async function part(r) {
    try {
        await catalogue.part(r);
    } catch (error) {
        if (!error.refused) {
            return fail(r, error);
        }
        r.variables.kept_for = '';
        await refuse(r, error);
    }
}

// A bucket that refuses, or does not answer, is not an empty one.
function badBucket(r) {
    answers.refuse(r, answers.refusal(502, tables.MESSAGES.bucket));
}

// The bucket refuses a blob: in a class that has to be restored first that is no fault of it.
async function refusedBlob(r) {
    let told = null;
    if (settings.BUCKET.frozen && r.variables.blob_digest) {
        try {
            const is = await bucket.isFrozen(r, r.variables.blob_key);
            if (is) {
                told = await frozen(r, true);
            }
        } catch (error) {
            r.error('cannot answer ' + r.variables.request_uri + ': ' + error.message);
        }
    }
    if (told) {
        answers.refuse(r, told);
    } else {
        badBucket(r);
    }
}

// More than a reader may ask at once, and has no time to wait for.
function tooMuch(r) {
    if (r.variables.s3_marked && !r.variables.s3_address) {
        r.variables.s3_address = s3door.addressed(r);
    }
    answers.refuse(r, answers.refusal(429, tables.MESSAGES.too_much, '', {'Retry-After': tables.AGAIN}));
}

// nginx finds that no byte of a file is wanted when it has given the file's headers already: they go.
function unsatisfiable(r) {
    const size = r.variables.blob_size;
    Object.keys(r.headersOut).forEach((name) => {
        delete r.headersOut[name];
    });
    answers.refuse(r, answers.refusal(416, tables.MESSAGES.range, '', size ? {'Content-Range': 'bytes */' + size} : {}));
}

export default { missing: reasons.missing, answer: slices.never(answer), badBucket: slices.never(refusedBlob), closed, counts, info, noBlob: slices.never(noBlob),
                 noPage, part, pointer, s3, tooMuch, unsatisfiable: slices.never(unsatisfiable) };
