// Whether this front is there: mirror_sync/front/protocols/mounted.py in JavaScript.

import answers from 'answers.js';
import tables from 'tables.js';

async function healthz(r) {
    answers.send(r, 200, {'Content-Type': tables.TEXT, 'Cache-Control': tables.CACHING.never}, 'ok\n');
}

export default { routes: {healthz} };
