// Why something is not given, and as a page to a browser: mirror_sync/front/hub/reasons.py in JavaScript.

import access from 'access.js';
import answers from 'answers.js';
import bucket from 'bucket.js';
import lists from 'lists.js';
import requests from 'requests.js';
import tables from 'tables.js';

// Answers a request that is refused.
async function refuse(r, refusal) {
    if (!tables.SITE) {
        return answers.refuse(r, refusal);
    }
    const repo = refusal.repo;
    let known = null;
    const asking = repo ? access.who(r) : null;
    if (repo && access.decide(asking.role, repo.kinds, repo.id, false) !== 'hidden') {
        known = await lists.known(r, repo.kinds, repo.id, access.seesAll(asking.role));
    }
    const browser = answers.formAt(r) !== 's3' && tables.READABLE.indexOf(r.method) >= 0 && /text\/html/i.test(r.headersIn.Accept || '');
    if (known && browser) {
        return answers.redirect(r, 302, {'Cache-Control': tables.CACHING.never}, up(r) + pageOf(known));
    }
    if (browser && refusal.status === 404) {
        const page = await bucket.read(r, 'site/' + tables.MISSING);
        if (page !== null) {
            return r.internalRedirect('@missing');
        }
    }
    if (known) {
        return answers.refuse(r, told(known, requests.origin(r)));
    }
    const seen = repo ? {message: refusal.message + '; what is: ' + requests.origin(r) + '/-/'} : {};
    answers.refuse(r, Object.assign({}, refusal, seen));
}

// The page itself, in a location of its own: it has the headers of pages.
async function missing(r) {
    const page = await bucket.read(r, 'site/' + tables.MISSING);
    answers.send(r, 404, {'Content-Type': tables.HTML, 'Cache-Control': tables.CACHING.never},
                 page.split(tables.UP).join(up(r)));
}

function up(r) {
    return '../'.repeat(r.variables.request_uri.split('?')[0].split('/').length - 2);
}

function pageOf(known) {
    return '-/' + known.kind + 's/' + known.id.replace('/', '--') + '.html';
}

function told(known, origin) {
    const said = tables.STANDINGS[known.state] || tables.STANDINGS.never;
    const message = known.id + ' ' + said + (known.why ? ': ' : '') + known.why + '; see ' + origin + '/' + pageOf(known);
    const headers = {'X-Mirror-State': known.state};
    return tables.DECIDED.indexOf(known.state) >= 0 ? answers.refusal(403, message, 'GatedRepo', headers)
                                                    : answers.refusal(404, message, 'RepoNotFound', headers);
}

export default { missing, refuse };
