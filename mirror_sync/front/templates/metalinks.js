// A file as a Metalink: mirror_sync/front/hub/metalinks.py in JavaScript.

import answers from 'answers.js';
import hub from 'hub.js';
import requests from 'requests.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const crypto = require('crypto');

const OWN = tables.OF.metalinks;
const MARKUP = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'};

async function metalink(r, fields) {
    const opened = await snapshots.open(r, fields), path = requests.decoded(fields.path);
    const entry = await hub.fileEntry(r, opened, path);
    const place = fields.kinds === 'models' ? '/' : '/' + fields.kinds + '/';
    const words = {
        name: path.slice(path.lastIndexOf('/') + 1).replace(new RegExp(OWN.UNWRITABLE, 'g'), '_'),
        size: String(entry.size),
        digest: entry.sha256
    };
    const replicas = await hub.atReplicas(r, fields, opened);
    const urls = [requests.origin(r) + place + fields.id + '/resolve/' + opened.commit + '/' + fields.path].concat(replicas);
    const told = {urls: urls.map((url, at) => filled(OWN.URL, {priority: String(at + 1), url: escaped(url)})).join('')};
    Object.keys(words).forEach((name) => {
        told[name] = escaped(words[name]);
    });
    const text = filled(OWN.DOCUMENT, told);
    const etag = '"' + crypto.createHash('sha256').update(text).digest('hex').slice(0, 32) + '"';
    const headers = Object.assign({'Content-Type': OWN.MEDIA_TYPE, ETag: etag}, answers.settled(opened));
    if (!tables.PUBLIC_URL) {
        Object.assign(headers, {'Cache-Control': tables.CACHING.linked, 'Vary': tables.SAID});
    }
    answers.send(r, answers.isCurrent(r, etag) ? 304 : 200, headers, answers.isCurrent(r, etag) ? undefined : text);
}

// All at once: a file may be called {size}.
function filled(form, words) {
    return form.replace(/\{([a-z]+)\}/g, (_, word) => words[word]);
}

function escaped(said) {
    return said.replace(/[&<>"]/g, (one) => MARKUP[one]);
}

export default { routes: {metalink} };
