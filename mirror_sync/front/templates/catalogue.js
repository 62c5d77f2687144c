// The catalogue: mirror_sync/front/protocols/catalogue_pages.py in JavaScript.

import answers from 'answers.js';
import bucket from 'bucket.js';
import signing from 'signing.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

async function root(r) {
    expectSite();
    redirect(r, '-/');
}

// A page, a document or an asset of the catalogue: one of nginx's own locations reads it.
async function site(r, fields) {
    const name = fields.page || 'index.html', v = r.variables, etag = bucket.siteTag(name);
    if (etag === null) {
        throw answers.refusal(404, tables.MESSAGES.nothing);
    }
    v.blob_type = tables.SITE_TYPES[name.slice(name.lastIndexOf('.') + 1)] || tables.BINARY;
    v.blob_caching = name.indexOf('assets/') === 0 ? tables.CACHING.immutable : tables.CACHING.checked;
    v.blob_etag = etag;
    r.internalRedirect(etag && answers.isCurrent(r, etag)
        ? '@same_page' : '/-/site/' + name + '?' + signing.forDocument('site/' + name));
}

// A browser at the address that a repo has upstream.
async function page(r, fields) {
    expectSite();
    await snapshots.refsOf(r, fields);
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

export default { routes: {page, root, site} };
