// The catalogue: mirror_sync/front/protocols/catalogue_pages.py in JavaScript.

import access from 'access.js';
import answers from 'answers.js';
import bucket from 'bucket.js';
import signing from 'signing.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const crypto = require('crypto');

const REPO_PAGE = /^(models|datasets|spaces|kernels)\/([A-Za-z0-9_.\-]+)\.html$/;

async function root(r) {
    expectSite();
    redirect(r, '-/');
}

// A page, a document or an asset of the catalogue.
async function site(r, fields) {
    const name = fields.page || 'index.html', place = bucket.placeOf(name);
    const volume = await volumeOf(r, place ? place[0] : name);
    if (volume === null) {
        throw answers.refusal(404, tables.MESSAGES.nothing);
    }
    if (place) {
        return r.internalRedirect('/-/part/' + volume + name);
    }
    object(r, volume, name);
}

// A document that is a part of a page, at the location that packs it.
async function part(r) {
    const path = r.variables.part_name, volume = path.indexOf(tables.WHOLE) === 0 ? tables.WHOLE : '';
    const name = path.slice(volume.length), text = await bucket.part(r, volume, name);
    if (text === null) {  // of a program of before, or for another server
        return object(r, volume, name);
    }
    const etag = '"' + crypto.createHash('sha256').update(text).digest('hex').slice(0, 32) + '"';
    const headers = {'Cache-Control': tables.CACHING.checked, 'ETag': etag};
    if (answers.isCurrent(r, etag)) {
        return answers.send(r, 304, headers);
    }
    headers['Content-Type'] = tables.SITE_TYPES[name.slice(name.lastIndexOf('.') + 1)];
    answers.send(r, 200, headers, text);
}

// An object of the catalogue: one of nginx's own locations reads it.
function object(r, volume, name) {
    const v = r.variables, etag = bucket.siteTag(volume + name);
    if (etag === null) {
        throw answers.refusal(404, tables.MESSAGES.nothing);
    }
    v.blob_type = tables.SITE_TYPES[name.slice(name.lastIndexOf('.') + 1)] || tables.BINARY;
    v.blob_caching = answers.cachingFor(r, name.indexOf('assets/') === 0 ? tables.CACHING.immutable : tables.CACHING.checked);
    v.blob_etag = etag;
    v.as_of = name.indexOf('assets/') === 0 ? '' : v.as_of;
    r.internalRedirect(etag && answers.isCurrent(r, etag)
        ? '@same_page' : '/-/site/' + volume + name + '?' + signing.forDocument('site/' + volume + name));
}

// Where the reader finds it: of a repo its page, of all repos what is for everybody, or all there is; null for nowhere.
async function volumeOf(r, name) {
    const role = access.who(r).role, page = REPO_PAGE.exec(name);
    const repo = page && snapshots.named({kinds: page[1], id: page[2].replace('--', '/')});
    let whole = access.seesAll(role);
    if (repo) {
        const refs = await snapshots.read(r, repo.kinds, repo.id);
        const closed = refs === null ? false : await snapshots.isClosed(r, refs);
        if (access.decide(role, repo.kinds, repo.id, closed) === 'hidden') {
            return null;
        }
        whole = !access.isPublic(repo.kinds, repo.id, closed);
    }
    if (!whole || name.indexOf('assets/') === 0) {
        return '';
    }
    const text = await bucket.read(r, 'site/' + tables.WHOLE + name);
    return text === null ? '' : tables.WHOLE;
}

// Where a browser is asked for a token: no page asks for one that shows something to everybody.
async function login(r) {
    if (!tables.ACCESS.tokens) {
        throw answers.unanswered();
    }
    const asking = access.who(r);
    if (asking.badge !== 'held') {
        throw access.unauthorized(access.wanted(asking));
    }
    answers.redirect(r, 302, {'Cache-Control': tables.CACHING.never}, './');
}

// A browser at the address that a repo has upstream.
async function page(r, fields) {
    await snapshots.refsOf(r, fields);  // what is not there is told first, as it is to who may not see what is there
    expectSite();
    const up = '../'.repeat((fields.place + fields.id).split('/').length - 1);
    redirect(r, up + '-/' + (fields.place || 'models/') + fields.id.replace('/', '--') + '.html');
}

function expectSite() {
    if (!tables.SITE) {
        throw answers.refusal(404, tables.MESSAGES.site);
    }
}

// Relative, so that a proxy may have us below a path.
function redirect(r, location) {
    answers.redirect(r, 302, {'Cache-Control': tables.CACHING.checked}, location);
}

export default { part, routes: {login, page, root, site} };
