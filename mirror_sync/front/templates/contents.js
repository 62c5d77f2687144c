// Contents by their digest alone: mirror_sync/front/protocols/contents.py in JavaScript.

import answers from 'answers.js';
import tables from 'tables.js';

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

export default { routes: {blob} };
