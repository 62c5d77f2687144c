// What a mirror of this mirror reads: mirror_sync/front/protocols/mirrors.py in JavaScript.

import access from 'access.js';
import answers from 'answers.js';
import bucket from 'bucket.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const crypto = require('crypto');

// Read anew: whoever was told that something has changed asks at once.
async function pointer(r, fields) {
    await snapshots.documentsOf(r, fields);
    const now = await anew(r, fields), text = now.text;
    const etag = '"' + crypto.createHash('sha256').update(text).digest('hex') + '"';
    const headers = {'Content-Type': tables.MEDIA_TYPES.json, 'Cache-Control': tables.CACHING.checked, 'ETag': etag};
    if (answers.isCurrent(r, etag)) {
        return answers.send(r, 304, headers);
    }
    answers.send(r, 200, headers, text);
}

async function document(r, fields) {
    const digest = fields.digest, commit = fields.rev, refs = await snapshots.documentsOf(r, fields);
    let named = await names(r, refs, commit, digest);
    if (!named) {  // what was published a moment ago
        const now = await anew(r, fields);
        named = await names(r, now.refs, commit, digest);
    }
    if (!named) {
        throw answers.entryNotFound(commit);
    }
    answers.sendBlob(r, {digest, etag: '"' + digest + '"', type: tables.BINARY, location: '/-/blob', commit,
                         caching: tables.CACHING.settled});
}

// refs.json as it is now. A refusal where by what stands there now it is not for who asks: it may be closed, or taken down,
// since the kept one.
async function anew(r, fields) {
    const text = await bucket.refsAnew(r, fields.kinds, fields.id);
    if (text === null) {
        throw notHere(fields);
    }
    const refs = JSON.parse(text), closed = await snapshots.isClosed(r, refs);
    if (access.decide(access.who(r).role, fields.kinds, fields.id, closed) !== 'read') {
        throw notHere(fields);
    }
    await snapshots.expectUntaken(r, fields.id, refs);
    return {text, refs};
}

function notHere(fields) {
    return Object.assign(answers.refusal(404, tables.MESSAGES.repo, 'RepoNotFound'), {repo: {kinds: fields.kinds, id: fields.id}});
}

// Whether a digest is of a document of a snapshot that is published, or of the repo as a whole.
async function names(r, refs, commit, digest) {
    const top = refs.snapshots[commit];
    if (!top) {
        return false;
    }
    if ([top].concat(values(refs.attachments)).indexOf(digest) >= 0) {
        return true;
    }
    const root = await snapshots.rootOf(r, top);
    return [root.info, root.commits].concat(values(root.attachments), root.shards.map((one) => one[1])).indexOf(digest) >= 0;
}

function values(named) {
    return Object.keys(named || {}).map((name) => named[name]);
}

export default { routes: {document, pointer} };
