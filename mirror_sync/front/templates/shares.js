// Whom a grey release leads away from main: mirror_sync/domain/content/share.py in JavaScript.

import readers from 'readers.js';
import requests from 'requests.js';
import snapshots from 'snapshots.js';

const crypto = require('crypto');

const MAINS = ['main', 'HEAD', 'refs/heads/main'];
const NAME = /^share\.([a-z]{1,40})\.([1-9][0-9]{0,4})(?:\.([1-9][0-9]{0,11}))?$/;
const WHOLE = 10000;  // hundredths of a percent

// The fields of a request, where a grey release leads its reader away from main; then no cache may give it to another.
async function arm(r, asking, found) {
    const rev = found.route.name === 'repo' ? 'main' : requests.decoded(found.fields.rev || '');
    const repo = MAINS.indexOf(rev) < 0 ? null : snapshots.named(found.fields);
    if (repo === null) {
        return found.fields;
    }
    const refs = await snapshots.read(r, repo.kinds, repo.id);
    const share = refs === null ? null : shareOf(refs.attachments || {});
    if (share === null) {
        return found.fields;
    }
    r.variables.kept_for = 'one';
    const name = 'refs/channels/' + share.channel;
    const begun = Date.now() >= share.begins * 1000;  // before that, too, nothing is kept that would outlast it
    if (!begun || !snapshots.ourCommit(refs, name) || !takes(share, repo, readerKey(r, asking))) {
        return found.fields;
    }
    return Object.assign({}, found.fields, {rev: encodeURIComponent(name)});
}

function shareOf(attachments) {
    const on = Object.keys(attachments).sort().map((name) => NAME.exec(name)).filter((one) => one && Number(one[2]) <= WHOLE);
    return on.length ? {channel: on[0][1], hundredths: Number(on[0][2]), begins: Number(on[0][3] || 0)} : null;
}

function takes(share, repo, reader) {
    const digest = crypto.createHash('sha256').update(repo.kinds + '/' + repo.id + '\n' + reader).digest('hex');
    return parseInt(digest.slice(0, 8), 16) * WHOLE < share.hundredths * 4294967296;
}

function readerKey(r, asking) {
    if (asking.badge === 'held') {
        return 'token ' + asking.name;
    }
    const client = r.variables.remote_addr, bytes = readers.bytesOf(client);
    return 'address ' + (bytes === null ? client : Buffer.from(bytes).toString('hex'));
}

export default { arm };
