// For whoever has a shell and no client: mirror_sync/front/protocols/plain.py in JavaScript.

import answers from 'answers.js';
import requests from 'requests.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const OWN = tables.OF.plain;
const ADDRESS = new RegExp(OWN.ADDRESS);

async function get_sh(r) {
    const origin = requests.origin(r), address = ADDRESS.test(origin) && origin.indexOf('\n') < 0 ? origin : '';
    const said = tables.PUBLIC_URL ? {'Cache-Control': tables.CACHING.moving}
                                   : {'Cache-Control': tables.CACHING.linked, 'Vary': tables.SAID};
    answers.send(r, 200, Object.assign({'Content-Type': tables.TEXT}, said), OWN.SCRIPT.split(OWN.PLACE).join(address));
}

async function snapshot_document(r, fields) {
    const opened = await snapshots.open(r, fields), name = fields.document;
    const digest = name === OWN.ROOT ? opened.digest : name;
    if (name !== OWN.ROOT && !opened.root.shards.some((shard) => shard[1] === name)) {
        throw answers.refusal(410, tables.MESSAGES.gone);
    }
    answers.sendBlob(r, {digest, etag: '"' + digest + '"', type: tables.MEDIA_TYPES.json, location: '/-/blob.json',
                         commit: opened.commit, caching: answers.settled(opened)['Cache-Control']});
}

export default { routes: {get_sh, snapshot_document} };
