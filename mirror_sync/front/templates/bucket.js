// Reads documents from the bucket, through nginx's own location, which finds them in a directory, a cache or S3.

import signing from 'signing.js';
import settings from 'settings.js';
import tables from 'tables.js';

const crypto = require('crypto');
const fs = require('fs');

const DOCUMENTS = '/-/documents/';
const MAX_ALIAS = 4096;  // bytes

const FROZEN = /<Code>\s*InvalidObjectState\s*<\/Code>/;
const NO_KEY = /<Code>\s*NoSuchKey\s*<\/Code>/;

// The text of an object, or null when there is none. Only 404 means that, and of S3 only one in S3's own words: a bucket
// that refuses is not an empty one, and neither is whatever else may answer at its address.
async function read(r, key, anew) {
    const reply = await asked(r, key, anew);
    return reply === null ? null : reply.responseText;
}

async function asked(r, key, anew) {
    const args = signing.forDocument(key) + (anew ? '&anew=1' : '');
    const reply = await r.subrequest(DOCUMENTS + key, {method: 'GET', args});
    if (reply.status === 404 && (settings.BUCKET.root || NO_KEY.test(reply.responseText))) {
        return null;
    }
    if (reply.status !== 200) {
        throw new Error('the bucket answered ' + reply.status + ' for ' + key);
    }
    return reply;
}

// A document of the catalogue, by its name below `volume`: a part of a page, or an object by itself; null for neither.
async function ofSite(r, volume, name) {
    const found = await part(r, volume, name);
    if (found !== null) {
        return found;
    }
    const text = await read(r, 'site/' + volume + name);
    return text;
}

// A document that is a part of a page, null where the page has none: mirror_sync/domain/catalogue/page_data.py in JavaScript.
async function part(r, volume, name) {
    const place = placeOf(name);
    if (place === null) {
        return null;
    }
    const reply = await asked(r, 'site/' + volume + place[0]);
    if (reply === null) {
        return null;
    }
    const page = reply.responseBuffer, begins = tables.DATA_BEGINS.replace('{}', place[1]);
    const start = page.indexOf(begins), end = start < 0 ? -1 : page.indexOf(tables.DATA_ENDS, start);
    if (end < 0) {
        return null;
    }
    const said = page.slice(start + begins.length, end).toString();
    return /\.atom$/.test(name) ? JSON.parse(said) : said;
}

// The page that a document is a part of, and the id of its block; null for what is an object by itself.
function placeOf(name) {
    return /^list\/.*\.json$/.test(name) ? [name.slice(0, -5) + '.html', tables.ROWS] : tables.PAGE_DATA[name] || null;
}

// The text of a document that something published names.
async function document(r, digest) {
    const text = await read(r, 'blobs/sha256/' + digest.slice(0, 2) + '/' + digest);
    if (text === null) {
        throw new Error('blob ' + digest + ' is missing');
    }
    if (text[0] !== '{' && text[0] !== '[') {
        throw new Error('blob ' + digest + ' is no document: something else answers in place of the bucket');
    }
    return text;
}

// The bytes of an attachment that is no text, and that something published names.
async function bytes(r, digest) {
    const key = 'blobs/sha256/' + digest.slice(0, 2) + '/' + digest;
    const reply = await r.subrequest(DOCUMENTS + key, {method: 'GET', args: signing.forDocument(key)});
    if (reply.status !== 200 || crypto.createHash('sha256').update(reply.responseBuffer).digest('hex') !== digest) {
        throw new Error('the bucket answered ' + reply.status + ' for ' + key + ', or other bytes');
    }
    return reply.responseBuffer;
}

// Whether the bucket itself has said that it has no such object, in an answer whose body nginx has thrown away. Where that
// has no mark of S3, as a HEAD may have none, the question is put once more.
async function saidMissing(r, key) {
    const v = r.variables;
    if (settings.BUCKET.root || /xml/.test(v.upstream_http_content_type || '') || v.upstream_http_x_amz_request_id) {
        return true;
    }
    const text = await read(r, key);
    return text === null;
}

// Whether the bucket refuses a blob since it lies in a class that has to be restored first.
async function isFrozen(r, key) {
    const reply = await r.subrequest(DOCUMENTS + key, {method: 'GET', args: signing.forDocument(key)});
    return reply.status === 403 && FROZEN.test(reply.responseText);
}

function refs(r, kinds, id) {
    return read(r, refsKey(kinds, id));
}

// As it stands in the bucket now, whatever nginx has kept.
function refsAnew(r, kinds, id) {
    return read(r, refsKey(kinds, id), true);
}

function refsKey(kinds, id) {
    return 'hub/' + kinds + '/' + id.replace('/', '--') + '/refs.json';
}

// What a replica is known to have of a repo.
function held(r, replica, kinds, id) {
    return read(r, 'replicas/' + replica + '/' + kinds + '/' + id.replace('/', '--') + '.json');
}

// The id that another one, in other letters or from former days, stands for; null when nothing says so.
async function alias(r, kinds, id) {
    const key = 'hub/' + kinds + '/' + id.toLowerCase().replace('/', '--') + '/alias.json';
    const text = await read(r, key);
    if (text === null) {
        return null;
    }
    if (text.length > MAX_ALIAS) {
        throw new Error(key + ' is larger than ' + MAX_ALIAS + ' bytes');
    }
    return JSON.parse(text).id;
}

// The ETag of an object of the catalogue, null when there is none; '' behind S3, where the bucket has its own. Each put
// makes a new file, so that two versions of one second and one size differ.
function siteTag(name) {
    if (!settings.BUCKET.root) {
        return '';
    }
    try {
        const stat = fs.statSync(settings.BUCKET.root + '/site/' + name);
        return stat.isFile() ? '"' + [stat.ino, stat.mtimeMs, stat.size].join('-') + '"' : null;
    } catch (error) {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
            return null;
        }
        throw error;
    }
}

export default { alias, bytes, document, held, isFrozen, ofSite, part, placeOf, read, refs, refsAnew, saidMissing, siteTag };
