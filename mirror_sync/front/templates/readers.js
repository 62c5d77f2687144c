// Who asks: mirror_sync/front/hub/doorkeeper.py and mirror_sync/domain/access/access_tokens.py in JavaScript.
// nginx takes a variable that a script fails to set for empty and goes on: so what admits is a word, and never its lack.
// njs makes all of what a location imports anew for each request: this and what it imports stay small.

import settings from 'settings.js';

const crypto = require('crypto');
const fs = require('fs');

const RULES = settings.READERS;
const NETWORK = /"([^"]*)"/g;

// For nginx's variable: badge, role, name and what is said of a token, with a space between each, and a dot at the end; nothing
// of them has a space. It also travels in a header, of which spaces at the end would be lost.
function reader(r) {
    try {
        return identified(r).concat('.').join(' ');
    } catch (error) {
        r.error('cannot tell who asks: ' + error.message);
        return '';
    }
}

function identified(r) {
    const client = r.variables.remote_addr;
    if (RULES.allow.length && !within(client, RULES.allow)) {
        return ['outside', '', '', client];
    }
    let token = credential(r.headersIn.Authorization || '');
    if (token === null && r.headersIn.Cookie) {
        token = inCookie(r);
    }
    if (token === null) {
        return ['none', '', '', ''];
    }
    const second = r.variables.time_iso8601;  // before the file is looked at
    const found = token === '' || !RULES.tokens ? null : lineOf(r, token);
    if (found === null) {
        return ['unknown', '', '', ''];
    }
    const told = badge(found.words, client);
    if (RULES.vouched && told[0] === 'held' && isToldAlike(r, found.words, told)) {
        vouch(r, found.state, second);
    }
    return told;
}

// The token in the cookie of an address where it may come so; null for none.
function inCookie(r) {
    const path = r.variables.request_uri.split('?')[0];
    const name = settings.COOKIES.filter((one) => one.addresses.test(path)).map((one) => one.name)[0];
    const found = name ? r.headersIn.Cookie.split(';').map((one) => one.trim()).filter((one) => one.indexOf(name + '=') === 0) : [];
    return found.length && found[0].length > name.length + 1 ? found[0].slice(name.length + 1) : null;
}

// The token that is sent, null for none, '' for one that cannot be read.
function credential(header) {
    const text = header.trim();
    if (!text) {
        return null;
    }
    const at = text.indexOf(' '), scheme = (at < 0 ? text : text.slice(0, at)).toLowerCase();
    const rest = at < 0 ? '' : text.slice(at + 1).trim();
    if (scheme === 'bearer') {
        return rest;
    }
    if (scheme.indexOf('aws4-') === 0) {
        const found = /(?:^|[\s,])Credential=([^\/,\s]+)\//.exec(rest);
        return found ? found[1] : '';
    }
    if (scheme !== 'basic' || rest.length % 4 || !/^[A-Za-z0-9+\/]*={0,2}$/.test(rest)) {
        return '';
    }
    const pair = Buffer.from(rest, 'base64').toString(), colon = pair.indexOf(':');
    const user = colon < 0 ? pair : pair.slice(0, colon), password = colon < 0 ? '' : pair.slice(colon + 1);
    return password || user;
}

// Whether nginx, by the token that it was sent and without us, would say of it what the file says.
function isToldAlike(r, words, told) {
    const v = r.variables, ends = words[4] ? ',' + (Date.parse(words[4]) / 1000 - 1) : '';
    return v.secure_link === '1' && v.token_link.slice(22) === ends && !words[5]
        && v.token_said === told.concat('.').join(' ');
}

// That it may do so until this second is over: nginx looks whether there is such a file. A token has one below each state of
// the file of tokens in which we have looked, and each second leads to the state that it began with, if we were asked in it.
// Docs: design/decisions/0085.
function vouch(r, state, second) {
    const now = RULES.writing + '.' + second, then = RULES.writing + '.' + state, letters = '/' + r.variables.told_letters;
    try {
        fs.accessSync(RULES.vouched + now + letters);
        return;
    } catch (error) {
        // asked the first time in this second, or in this state
    }
    try {
        makeFolder(RULES.vouched);
        makeFolder(RULES.vouched + then);
        fs.writeFileSync(RULES.vouched + then + letters, '');
        fs.symlinkSync(then, RULES.vouched + now);
        sweep([now, then]);
    } catch (error) {
        return;  // as another worker was first; else nginx asks again
    }
}

function makeFolder(path) {
    try {
        fs.mkdirSync(path, {mode: 0o700});
    } catch (error) {
        return;  // it is there, or what is to be in it will not be
    }
}

function sweep(kept) {
    fs.readdirSync(RULES.vouched).filter((name) => kept.indexOf(name) < 0).forEach((name) => {
        const path = RULES.vouched + name;
        try {
            fs.unlinkSync(path);
        } catch (error) {
            fs.readdirSync(path).forEach((one) => fs.unlinkSync(path + '/' + one));
            fs.rmdirSync(path);
        }
    });
}

// What the file says of a token, and which state of it; null where it is none of ours. Of a broken file no token is known, and of
// one that stands there twice nobody knows what is meant.
function lineOf(r, token) {
    const digest = crypto.createHash('sha256').update(token).digest('hex');
    let text = '';
    try {
        text = shelfOf(r, digest.slice(0, 2));
    } catch (error) {
        r.error(RULES.tokens + ': ' + error.message + ': ' + RULES.unread);
        return null;
    }
    const at = text.indexOf(digest);
    if (at < 0 || text.indexOf(digest, at + digest.length) >= 0) {
        return null;
    }
    const words = settings.TOKEN_LINE.exec(text.slice(text.lastIndexOf('\n', at) + 1, text.indexOf('\n', at)));
    return words === null ? null : {words, state: text.slice(0, text.indexOf('\n'))};
}

// The lines of the tokens whose digests begin so. njs keeps nothing from request to request, and to read all of the file for
// each costs more than the rest: so its lines are laid beside nginx's own temporary files, by their first two digits, each
// below what the file system says of the file of tokens. What is not of the file as it is now is laid out anew.
function shelfOf(r, shelf) {
    const stat = fs.statSync(RULES.tokens), state = [stat.ino, stat.mtimeMs, stat.ctimeMs, stat.size].join('-') + '\n';
    const kept = keptOn(shelf);
    if (kept.indexOf(state) === 0) {
        return kept;
    }
    if (stat.size > RULES.largest) {
        throw new Error('it has more than ' + RULES.largest + ' bytes');
    }
    const shelves = sorted(fs.readFileSync(RULES.tokens, 'utf8'));
    for (let number = 0; number < 256; number++) {
        const name = (number < 16 ? '0' : '') + number.toString(16);
        keep(r, name, state + (shelves[name] || ''));
    }
    return state + (shelves[shelf] || '');
}

function sorted(text) {
    const lines = text.split('\n'), shelves = Object.create(null);
    if (!lines.every(isSound)) {
        throw new Error('it is not as mirror-sync token writes it');
    }
    lines.filter((line) => line[0] === '-').forEach((line) => {
        const name = settings.TOKEN_LINE.exec(line)[3].slice(0, 2);
        shelves[name] = (shelves[name] || '') + line + '\n';
    });
    return shelves;
}

function keptOn(shelf) {
    try {
        return fs.readFileSync(RULES.shelves + shelf, 'utf8');
    } catch (error) {
        return '';
    }
}

function keep(r, shelf, text) {
    const young = RULES.shelves + r.variables.pid + '.' + shelf;
    try {
        fs.writeFileSync(young, text);
        fs.renameSync(young, RULES.shelves + shelf);
    } catch (error) {
        return;  // it is laid out again then
    }
}

function isSound(line) {
    return line.slice(0, 2) === '- ' ? settings.TOKEN_LINE.test(line) && isList(settings.TOKEN_LINE.exec(line)[5])
                                     : settings.OTHER_LINE.test(line);
}

function isList(text) {
    const named = networksOf(text);
    return named.map((one) => '"' + one + '"').join(', ') === (text || '') && named.every((one) => parsedNetwork(one) !== null);
}

function networksOf(text) {
    return text ? (text.match(NETWORK) || []).map((one) => one.slice(1, -1)) : [];
}

function badge(found, client) {
    const name = found[1], role = found[2], expires = found[4], networks = networksOf(found[5]), revoked = found[7];
    if (revoked) {
        return ['revoked', '', name, revoked];
    }
    if (expires && expires <= new Date().toISOString().slice(0, 19) + 'Z') {
        return ['expired', '', name, expires];
    }
    if (networks.length && !within(client, networks)) {
        return ['away', '', name, client];
    }
    return RULES.roles[role] ? ['held', role, name, ''] : ['roleless', '', name, role];
}

// ---- networks

// The bytes of an address, null for what is none; an IPv4 address in the form of IPv6 is that of IPv4.
function bytesOf(text) {
    const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
    if (v4) {
        const parts = v4.slice(1).map(Number);
        return parts.every((part) => part < 256) ? parts : null;
    }
    const halves = text.split('::');
    if (halves.length > 2 || !/^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/.test(text)) {
        return null;
    }
    const head = groups(halves[0]), tail = halves.length === 2 ? groups(halves[1]) : [];
    if (head === null || tail === null || (halves.length === 2 ? head.length + tail.length > 14 : head.length !== 16)) {
        return null;
    }
    const all = head.concat(new Array(16 - head.length - tail.length).fill(0), tail);
    const mapped = all.slice(0, 10).every((one) => one === 0) && all[10] === 255 && all[11] === 255;
    return mapped ? all.slice(12) : all;
}

function groups(text) {
    const found = [], parts = text ? text.split(':') : [];
    for (let i = 0; i < parts.length; i++) {
        const v4 = parts[i].indexOf('.') >= 0 && i === parts.length - 1 ? bytesOf(parts[i]) : null;
        if (v4 === null && !/^[0-9A-Fa-f]{1,4}$/.test(parts[i])) {
            return null;
        }
        (v4 || [parseInt(parts[i], 16) >> 8, parseInt(parts[i], 16) & 255]).forEach((one) => found.push(one));
    }
    return found;
}

function parsedNetwork(text) {
    const parts = text.split('/'), base = bytesOf(parts[0]);
    if (base === null || parts.length > 2 || (parts.length === 2 && !/^\d{1,3}$/.test(parts[1]))) {
        return null;
    }
    const bits = parts.length === 2 ? Number(parts[1]) : base.length * 8;
    return bits <= base.length * 8 ? {base, bits} : null;
}

function within(client, networks) {
    const address = bytesOf(client);
    return address !== null && networks.some((one) => holds(parsedNetwork(one), address));
}

function holds(network, address) {
    if (network === null || network.base.length !== address.length) {
        return false;
    }
    const whole = network.bits >> 3, rest = network.bits & 7, mask = (255 << (8 - rest)) & 255;
    return network.base.slice(0, whole).every((one, i) => one === address[i])
        && (rest === 0 || (network.base[whole] & mask) === (address[whole] & mask));
}

export default { bytesOf, credential, reader };
