// The form by which people say what they want: mirror_sync/front/misses/wish_form.py in JavaScript.

import answers from 'answers.js';
import misses from 'misses.js';
import requests from 'requests.js';
import tables from 'tables.js';

const qs = require('querystring');

async function ask(r) {
    const own = tables.OF.wishes, body = r.requestText || '';
    if (isForeign(r)) {
        throw answers.refusal(403, own.FOREIGN);
    }
    if (Buffer.byteLength(body) > own.LONGEST) {
        throw answers.refusal(413, own.LONG);
    }
    const became = await what(r, body);
    answers.redirect(r, 303, {'Cache-Control': tables.CACHING.never}, own.PAGE + '#' + became);
}

async function what(r, body) {
    const own = tables.OF.wishes, text = wanted(body);
    if (!text) {
        return own.BAD;
    }
    const said = await misses.ask(r, 'form', text);
    if (said === null) {
        return own.UNDONE;
    }
    if (said.status === 429) {
        return own.LATER;
    }
    return own.OUTCOMES.indexOf(said.outcome) >= 0 ? said.outcome : own.NOTED;
}

// What a form names, as a person has written it.
function wanted(body) {
    if (body.split('&').length > 8) {
        return '';
    }
    const found = qs.parse(body).repo, last = Array.isArray(found) ? found[found.length - 1] : found;
    return (last || '').trim();
}

// Whether a page of another origin has a browser send this.
function isForeign(r) {
    const site = r.headersIn['Sec-Fetch-Site'], origin = r.headersIn.Origin;
    if (site !== undefined) {
        return ['same-origin', 'none'].indexOf(site) < 0;
    }
    return origin !== undefined && hostOf(origin) !== hostOf(requests.origin(r));
}

function hostOf(url) {
    const found = /^[a-z]+:\/\/([^\/]*)/i.exec(url);
    return found ? found[1].toLowerCase() : '';
}

export default { routes: {ask} };
