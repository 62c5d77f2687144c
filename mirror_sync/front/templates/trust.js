// What a stranger proves a snapshot with: mirror_sync/front/protocols/trust.py in JavaScript.

import access from 'access.js';
import answers from 'answers.js';
import bucket from 'bucket.js';
import requests from 'requests.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const crypto = require('crypto');

const OWN = tables.OF.trust;
const JSON_DOCUMENT = tables.MEDIA_TYPES.json;

async function proof(r, fields) {
    const name = fields.proof;
    let held = null;
    if (name === OWN.VERDICTS) {
        held = await heldVerdicts(r, fields);
    }
    if (held) {
        return sendDocument(r, held, JSON_DOCUMENT, {caching: tables.CACHING.moving});
    }
    const opened = await snapshots.open(r, fields);
    if (name === OWN.VERDICTS) {
        return sendVerdicts(r, opened);
    }
    const digest = (opened.root.attachments || {})[name];
    if (!digest) {
        throw notMade(name, fields.id + ' at ' + opened.commit, OWN.SWITCHES[name]);
    }
    sendDocument(r, digest, OWN.TYPES[name],
                 {commit: opened.commit, caching: answers.settled(opened)['Cache-Control']});
}

// What was said of a commit that is held, and so not published.
async function heldVerdicts(r, fields) {
    const revision = requests.decoded(fields.rev);
    if (!snapshots.isCommit(revision)) {
        return null;
    }
    const refs = await snapshots.documentsOf(r, fields);
    return refs.snapshots[revision] ? null : (refs.attachments || {})[OWN.HELD + revision];
}

// Under which verdicts a snapshot was published; the first format knows one, of the licence.
function sendVerdicts(r, opened) {
    const root = opened.root, etag = '"' + opened.digest + '-verdicts"';
    const headers = Object.assign({ETag: etag}, answers.settled(opened));
    if (answers.isCurrent(r, etag)) {
        return answers.send(r, 304, headers);
    }
    const said = root.verdicts || [Object.assign({rule: 'licence'}, root.license)];
    const rule = (name) => name === 'license' ? 'licence' : name;  // as older programs wrote it
    const verdicts = said.map((one) => ({rule: rule(one.rule), outcome: one.outcome, reason: one.reason}));
    answers.sendJson(r, JSON.stringify({repo: root.repo, commit: opened.commit, verdicts}), headers);
}

async function statement(r, fields) {
    const refs = await snapshots.documentsOf(r, fields), name = fields.statement, repo = snapshots.named(fields);
    if (Object.keys(refs.snapshots).length === 0 && access.decide(access.who(r).role, repo.kinds, repo.id, true) === 'hidden') {
        // what was stated last of what is withdrawn: nobody knows any more whether its upstream had closed it
        throw Object.assign(answers.refusal(404, tables.MESSAGES.repo, 'RepoNotFound'), {repo});
    }
    const digest = (refs.attachments || {})[OWN.OF_REPO[name]];
    if (!digest) {
        throw notMade(name, fields.id, OWN.KEY);
    }
    sendDocument(r, digest, OWN.TYPES[name], {caching: tables.CACHING.moving});
}

async function allowed_signers(r) {
    const text = await bucket.read(r, OWN.SIGNERS);
    if (text === null) {
        throw notMade('allowed_signers', 'this mirror', OWN.KEY);
    }
    const etag = '"' + crypto.createHash('sha256').update(text).digest('hex') + '"';
    const headers = {'Content-Type': tables.TEXT, 'Cache-Control': tables.CACHING.moving, 'ETag': etag};
    if (answers.isCurrent(r, etag)) {
        return answers.send(r, 304, headers);
    }
    answers.send(r, 200, headers, text);
}

function sendDocument(r, digest, type, said) {
    const location = type === JSON_DOCUMENT ? '/-/blob.json' : '/-/blob.txt';
    answers.sendBlob(r, Object.assign({digest, etag: '"' + digest + '"', type, location}, said));
}

function notMade(name, of, how) {
    const message = name + ' of ' + of + ' is not here: ' + how;
    return Object.assign(answers.refusal(404, message, 'EntryNotFound'), {form: 'text'});
}

export default { routes: {allowed_signers, statement, proof} };
