// What a mirror of this mirror reads: mirror_sync/front/protocols/mirrors.py in JavaScript.

import answers from 'answers.js';
import bucket from 'bucket.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const crypto = require('crypto');

// Read anew: whoever was told that something has changed asks at once.
async function pointer(r, fields) {
    await snapshots.documentsOf(r, fields);
    const text = await bucket.refsAnew(r, fields.kinds, fields.id);
    if (text === null) {
        throw Object.assign(answers.refusal(404, tables.MESSAGES.repo, 'RepoNotFound'), {repo: {kinds: fields.kinds, id: fields.id}});
    }
    const etag = '"' + crypto.createHash('sha256').update(text).digest('hex') + '"';
    const headers = {'Content-Type': tables.MEDIA_TYPES.json, 'Cache-Control': tables.CACHING.checked, 'ETag': etag};
    if (answers.isCurrent(r, etag)) {
        return answers.send(r, 304, headers);
    }
    answers.send(r, 200, headers, text);
}

async function document(r, fields) {
    const opened = await snapshots.open(r, fields), digest = fields.digest, root = opened.root;
    const refs = await snapshots.documentsOf(r, fields), values = (named) => Object.keys(named || {}).map((name) => named[name]);
    const here = [opened.digest, root.info, root.commits].concat(root.shards.map((one) => one[1]), values(root.attachments), values(refs.attachments));
    if (here.indexOf(digest) < 0) {
        throw answers.entryNotFound(opened.commit);
    }
    answers.sendBlob(r, {digest, etag: '"' + digest + '"', type: tables.BINARY, location: '/-/blob', commit: opened.commit,
                         caching: answers.settled(opened)['Cache-Control']});
}

export default { routes: {document, pointer} };
