// What a request says, beyond its route.

import answers from 'answers.js';
import tables from 'tables.js';

const qs = require('querystring');

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
        const key = '"' + path, first = !met[key];  // the quote: no key is a name that objects have
        met[key] = true;
        return first;
    });
}

function form(text) {
    const fields = qs.parse(text, '&', '=', {maxKeys: 0});
    return {paths: fields.paths || [], expand: last(fields.expand)};
}

function parsed(text) {
    try {
        return JSON.parse(text);
    } catch (error) {
        return null;
    }
}

// Where clients find this front: as the operator says, else as the proxy before it does; '' when nothing usable is said.
function origin(r) {
    if (tables.PUBLIC_URL) {
        return tables.PUBLIC_URL;
    }
    const forwarded = (r.headersIn['X-Forwarded-Proto'] || '').split(',')[0].trim().toLowerCase();
    const hosts = [(r.headersIn['X-Forwarded-Host'] || '').split(',')[0].trim(), r.headersIn.Host || ''];
    const host = hosts.filter((one) => HOST.test(one))[0];
    const scheme = forwarded === 'http' || forwarded === 'https' ? forwarded : r.variables.scheme;
    return host ? scheme + '://' + host : '';
}

// The path below which clients find this front: of the origin that the operator has given.
function prefix() {
    return tables.PUBLIC_URL.replace(/^[a-z]+:\/\/[^\/]*/, '');
}

export default { argument, decoded, isTrue, origin, parsed, prefix, wantedPaths };
