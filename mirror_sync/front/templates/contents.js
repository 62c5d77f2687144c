// Contents by their digest alone: mirror_sync/front/protocols/contents.py in JavaScript.

import answers from 'answers.js';
import bucket from 'bucket.js';
import tables from 'tables.js';

async function blob(r, fields) {
    if (!tables.BY_DIGEST) {
        throw answers.refusal(404, tables.MESSAGES.digests);
    }
    if (fields.digest.slice(0, 2) !== fields.shelf) {
        throw answers.entryNotFound();
    }
    const withdrawn = await bucket.read(r, tables.OF.contents.WITHDRAWN + fields.shelf);
    if (withdrawn !== null && lines(withdrawn).indexOf(fields.digest) >= 0) {
        throw answers.entryNotFound();
    }
    answers.sendBlob(r, {digest: fields.digest, etag: '"' + fields.digest + '"', type: tables.BINARY,
                         caching: tables.CACHING.immutable, location: '/-/content'});
}

// The digests of what is being taken down, of those that begin with the same byte.
function lines(text) {
    if (!/^(?:[0-9a-f]{64}\n)*$/.test(text)) {
        throw new Error('a list of what is withdrawn is no list of digests');
    }
    return text.split('\n');
}

export default { routes: {blob} };
