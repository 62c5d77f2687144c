// Torrents of what is mirrored: mirror_sync/front/protocols/torrents.py in JavaScript.

import access from 'access.js';
import answers from 'answers.js';
import bucket from 'bucket.js';
import requests from 'requests.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const crypto = require('crypto');

const OWN = tables.OF.torrents;
const PRIVATE = '7:privatei1e';

async function torrent(r, fields) {
    const opened = await snapshots.open(r, fields), digest = await infoOf(r, opened, fields);
    const refs = await snapshots.refsOf(r, fields);
    const closed = await snapshots.isClosed(r, refs);
    const own = requests.origin(r) + (fields.kinds === 'models' ? '/' : '/' + fields.kinds + '/') + fields.id + '/resolve/';
    const replicas = await snapshots.elsewhere(r, fields, opened);
    const around = aroundInfo([own].concat(replicas.map((place) => place.slice(0, -opened.commit.length - 1))),
                              access.isPublic(fields.kinds, fields.id, closed));
    const etag = '"' + digest.slice(0, 32) + '-' + hashed(around.join('')).slice(0, 16) + '"';
    const headers = Object.assign({'Content-Type': OWN.MEDIA_TYPE, ETag: etag}, answers.settled(opened));
    if (!tables.PUBLIC_URL) {
        Object.assign(headers, {'Cache-Control': tables.CACHING.linked, 'Vary': tables.SAID});
    }
    if (answers.isCurrent(r, etag)) {
        return answers.send(r, 304, headers);
    }
    const info = await bucket.bytes(r, digest);
    answers.send(r, 200, headers, Buffer.concat([Buffer.from(around[0]), info.slice(0, info.length - 1), Buffer.from(around[1])]));
}

async function infoOf(r, opened, fields) {
    const named = opened.root.attachments || {};
    if (!named[OWN.FACTS]) {
        throw notHere(OWN.WORDS.made, fields, opened, '');
    }
    const text = await bucket.document(r, named[OWN.FACTS]), why = JSON.parse(text).why;
    if (why) {
        throw notHere(OWN.WORDS.why, fields, opened, why);
    }
    return named[OWN.INFO];
}

// What stands before an info dictionary without its end, and from there on. Of what is not for everybody the torrent is
// private and names no tracker.
function aroundInfo(seeds, isPublic) {
    const trackers = isPublic ? tables.TORRENTS.trackers : [], several = trackers.length > 1;
    const announce = trackers.length ? '8:announce' + text(trackers[0]) : '';
    const tier = several ? '13:announce-listll' + trackers.map(text).join('') + 'ee' : '';
    const end = (tables.TORRENTS.private || !isPublic ? PRIVATE : '') + 'e';
    const listed = seeds.length > 1 ? 'l' + seeds.map(text).join('') + 'e' : text(seeds[0]);
    return ['d' + announce + tier + '4:info', end + '8:url-list' + listed + 'e'];
}

function text(said) {
    return Buffer.from(said).length + ':' + said;
}

function hashed(said) {
    return crypto.createHash('sha256').update(said).digest('hex');
}

// One infohash a line, as opentracker reads it; the first is of none.
async function torrent_whitelist(r) {
    const listed = await bucket.read(r, OWN.LIST);
    if (listed === null) {
        throw Object.assign(answers.refusal(404, OWN.WORDS.list), {form: 'text'});
    }
    const lines = listed.split('\n').filter((line) => line).map((line) => line.split(' '));
    if (lines.some((line) => line.length !== 4)) {
        throw new Error('a list of torrents is none');
    }
    const shown = lines.filter((line) => access.mayBePublic(line[2] + 's', line[3]));
    const body = [OWN.NO_TORRENTS].concat(shown.map((line) => line[tables.TORRENTS.private ? 1 : 0]), '').join('\n');
    const etag = '"' + hashed(body).slice(0, 32) + '"';
    const headers = {'Content-Type': tables.TEXT, 'Cache-Control': tables.CACHING.moving, 'ETag': etag};
    if (answers.isCurrent(r, etag)) {
        return answers.send(r, 304, headers);
    }
    answers.send(r, 200, headers, body);
}

function notHere(message, fields, opened, why) {
    const words = {repo: fields.id, commit: opened.commit, why};
    const said = Object.keys(words).reduce((told, name) => told.split('{' + name + '}').join(words[name]), message);
    return Object.assign(answers.refusal(404, said, 'EntryNotFound'), {form: 'text'});
}

export default { routes: {torrent, torrent_whitelist} };
