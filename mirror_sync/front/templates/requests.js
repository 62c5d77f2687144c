// What a request says, beyond its route.

import answers from 'answers.js';
import tables from 'tables.js';
import types from 'types.js';

const qs = require('querystring');

const PREFIX = /^((?:\/[A-Za-z0-9_~\-][A-Za-z0-9._~\-]*)+)\/?$/;  // no part begins with a dot: none leads upwards
const LONGEST_PREFIX = 256;
const HOST = /^(?:[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch (error) {
        throw answers.refusal(400, tables.MESSAGES.path);
    }
}

function argument(r, name) {
    return last(r.args[name]) || '';
}

function isTrue(value) {
    return /^(?:true|1)$/i.test(String(value));
}

function last(value) {
    return Array.isArray(value) ? value[value.length - 1] : value;
}

// The paths that a paths-info request asks for, each once, and whether it wants `lastCommit`: a form, or JSON.
function wantedPaths(r) {
    const body = r.requestText || '';
    const asked = /json/i.test(r.headersIn['Content-Type'] || '') ? parsed(body) : form(body);
    const paths = asked && typeof asked.paths === 'string' ? [asked.paths] : asked && asked.paths;
    if (!Array.isArray(paths) || !paths.every((path) => typeof path === 'string')) {
        throw answers.refusal(400, tables.MESSAGES.body);
    }
    if (paths.length > tables.MOST_PATHS) {
        throw answers.refusal(413, tables.MESSAGES.paths);
    }
    return {paths: eachOnce(paths), expand: isTrue(asked.expand)};
}

function eachOnce(paths) {
    const met = Object.create(null);
    return paths.filter((path) => {
        const key = '"' + path, first = path.length <= tables.LONGEST_PATH && !met[key];  // the quote: no key is a name that objects have
        met[key] = true;
        return first;
    });
}

// The fields are counted before any of them is read: a form of a megabyte may have half a million.
function form(text) {
    const parts = text.split('&', tables.MOST_PATHS + 12);
    if (parts.length > tables.MOST_PATHS + 11) {
        throw answers.refusal(413, tables.MESSAGES.paths);
    }
    const known = parts.filter((part) => part.length <= 6 + 3 * tables.LONGEST_PATH);  // 'paths=', all in percents
    const fields = qs.parse(known.join('&'), '&', '=', {maxKeys: 0});
    return {paths: fields.paths || [], expand: last(fields.expand)};
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch (error) {
        return null;
    }
}

// The bytes [start, stop) of `size` that a Range header asks for, null for all of them: conditions.py in JavaScript.
function byteRange(r, etag, size) {
    const wanted = r.headersIn.Range || '', held = r.headersIn['If-Range'];
    if (r.method !== 'GET' || !/^bytes=[^,]*$/i.test(wanted) || (held !== undefined && held.trim() !== etag)) {
        return null;
    }
    const found = types.SPAN.exec(wanted.slice('bytes='.length)) || ['', '', ''], first = found[1], last = found[2];
    const start = first ? Number(first) : last ? Math.max(size - Number(last), 0) : size;
    const stop = first && last ? Math.min(Number(last) + 1, size) : size;
    if (start >= stop) {
        throw answers.refusal(416, tables.MESSAGES.range, '', {'Content-Range': 'bytes */' + size});
    }
    return [start, stop];
}

// Where clients find this front: as the operator says, else as the proxy before it does; '' when nothing usable is said.
function origin(r) {
    if (tables.PUBLIC_URL) {
        return tables.PUBLIC_URL;
    }
    const forwarded = (r.headersIn['X-Forwarded-Proto'] || '').split(',')[0].trim().toLowerCase();
    const hosts = [(r.headersIn['X-Forwarded-Host'] || '').split(',')[0].trim(), r.variables.asked_host || ''];
    const host = hosts.filter((one) => HOST.test(one))[0];
    const scheme = forwarded === 'http' || forwarded === 'https' ? forwarded : r.variables.scheme;
    return (host ? scheme + '://' + host : '') + prefix(r);
}

// The path below which clients find this front: of the address that the operator has given, else what a proxy before us
// says that it takes away; '' for anything but a plain one.
function prefix(r) {
    if (tables.PUBLIC_URL) {
        return tables.PUBLIC_URL.replace(/^[a-z]+:\/\/[^\/]*/, '');
    }
    const found = PREFIX.exec((r.headersIn['X-Forwarded-Prefix'] || '').split(',')[0].trim());
    return found && found[1].length <= LONGEST_PREFIX ? found[1] : '';
}

// A 307 to one of our own addresses. What a client said of itself is not for others to see.
function redirect(r, headers, target) {
    const below = prefix(r), said = tables.PUBLIC_URL ? {} : {Vary: tables.PREFIX};
    if (below && !tables.PUBLIC_URL) {
        said['Cache-Control'] = tables.CACHING.linked;
    }
    answers.redirect(r, 307, Object.assign({}, headers, said), below + target);
}

export default { argument, byteRange, decoded, isTrue, origin, parsed, prefix, redirect, wantedPaths };
