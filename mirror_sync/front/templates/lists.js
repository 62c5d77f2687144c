// The Hub's lists of repos, and what is known of one that is not published: mirror_sync/front/hub/hub_lists.py in JavaScript.

import access from 'access.js';
import answers from 'answers.js';
import bucket from 'bucket.js';
import requests from 'requests.js';
import tables from 'tables.js';

const DATE = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}/;

// The pages of the catalogue's list, as [name, first id]; null where none are published.
async function index(r, volume) {
    const text = await bucket.read(r, 'site/' + volume + 'lists.json');
    return text === null ? null : JSON.parse(text).pages;
}

// The lines of a page, each as its fields.
async function lines(r, volume, name) {
    const text = await bucket.ofSite(r, volume, 'list/' + name + '.json');
    const found = text === null ? [] : text.slice(2, -3).split(',\n').filter((line) => line).map((line) => tables.LINE.exec(line));
    if (found.some((line) => line === null)) {
        throw new Error('site/list/' + name + '.json is no page of a list');
    }
    return found.map((line) => ({kind: line[1], state: line[2], id: line[3], why: line[4], item: line[5]}));
}

// How many pages begin at an id or before it.
function countUpTo(pages, id) {
    let low = 0, high = pages.length;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (pages[middle][1] <= id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// What is known of a repo of which nothing is published, or null.
async function known(r, kinds, id, everything) {
    let found = null;
    if (everything) {
        found = await knownIn(r, tables.WHOLE, kinds, id);
    }
    if (found === null) {
        found = await knownIn(r, '', kinds, id);
    }
    return found;
}

async function knownIn(r, volume, kinds, id) {
    const pages = await index(r, volume);
    const last = Math.max(countUpTo(pages || [], id.toLowerCase()) - 1, 0);
    for (let at = Math.max(last - 1, 0); pages && at <= last && at < pages.length; at++) {
        const listed = await lines(r, volume, pages[at][0]);
        const found = listed.filter((one) => one.kind + 's' === kinds && one.id === id && one.state !== 'published');
        if (found.length) {
            return Object.assign(found[0], {why: JSON.parse(found[0].why)});
        }
    }
    return null;
}

function all(value) {
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

function wanted(r, kinds) {
    const unknown = Object.keys(r.args).sort().filter((name) => tables.LIST_KEYS.indexOf(name) < 0 && requests.argument(r, name));
    if (unknown.length) {
        throw answers.refusal(501, tables.MESSAGES.lists + ": '" + unknown[0].slice(0, 40) + "' is not among them");
    }
    const sort = requests.argument(r, 'sort'), order = tables.ORDERS[sort] || '';
    if (r.args.sort !== undefined && sort && !order) {
        throw answers.refusal(501, tables.MESSAGES.order + "; '" + sort.slice(0, 40) + "' is neither");
    }
    const limit = requests.argument(r, 'limit') || String(tables.LIST_PAGE);
    if (!/^[0-9]+$/.test(limit) || Number(limit.slice(0, 9)) === 0) {
        throw answers.refusal(400, tables.MESSAGES.limit);
    }
    const gated = requests.argument(r, 'gated').toLowerCase();
    if (tables.YES_OR_NO[gated] === undefined) {
        throw answers.refusal(400, tables.MESSAGES.gated);
    }
    const author = requests.argument(r, 'author').toLowerCase(), cursor = requests.argument(r, 'cursor');
    const least = author ? author + '/' : '';
    const tags = all(r.args.filter).join(',').split(',').filter((tag) => tag);
    return {kind: kinds.slice(0, -1), author, gated: tables.YES_OR_NO[gated],
            search: all(r.args.search).filter((word) => word).map((word) => word.toLowerCase()),
            filters: tags.concat(['pipeline_tag', 'library'].map((name) => requests.argument(r, name)).filter((tag) => tag)),
            limit: Math.min(Number(limit.slice(0, 9)), tables.LIST_PAGE), start: !order && cursor > least ? cursor : least,
            order, behind: order ? cursor : ''};
}

function fits(one, want) {
    const low = one.id.toLowerCase();
    if (one.kind !== want.kind || one.state !== 'published' || low < want.start || !want.search.every((word) => low.indexOf(word) >= 0)) {
        return false;
    }
    if (want.author && low.split('/')[0] !== want.author) {
        return false;
    }
    if (want.filters.length === 0 && want.gated === null) {
        return true;
    }
    const item = JSON.parse(one.item);
    return has(item, want.filters) && (want.gated === null || want.gated === Boolean(item.gated));
}

function has(item, filters) {
    const words = (Array.isArray(item.tags) ? item.tags : []).concat([item.pipeline_tag, item.library_name]);
    return filters.every((one) => words.indexOf(one) >= 0);
}

// Whether a role may see a repo of a list: of what is listed for everybody only the name is looked at.
function sees(role, one) {
    const kinds = one.kind + 's';
    if (!role) {
        return access.mayBePublic(kinds, one.id);
    }
    if (access.decide(role, kinds, one.id, true) !== 'hidden') {
        return true;
    }
    const item = access.mayBePublic(kinds, one.id) ? JSON.parse(one.item) : {};
    return access.mayBePublic(kinds, one.id) && access.isPublic(kinds, one.id, item.private !== false || item.gated !== false);
}

// Whether an id and all after it are another author's.
function isPast(want, low) {
    return want.author && low >= want.author + '0';
}

// The same in the order of a date, newest first; what has none comes last, and equal ones by their names.
async function sorted(r, volume, pages, want, role) {
    if (pages.length > tables.SORTED_READS) {
        throw answers.refusal(501, tables.MESSAGES.sorted);
    }
    let left = [];
    for (let at = 0; at < pages.length; at++) {
        const listed = await lines(r, volume, pages[at][0]);
        left = left.concat(listed.filter((one) => fits(one, want) && sees(role, one))
            .map((one) => ({place: placeOf(one, want.order), item: one.item})).filter((one) => one.place > want.behind));
    }
    left.sort((one, other) => one.place < other.place ? -1 : one.place > other.place ? 1 : 0);
    const some = left.slice(0, want.limit);
    return {items: some.map((one) => one.item), next: left.length > some.length ? some[some.length - 1].place : null};
}

// Where a repo stands in an order: its date with each figure turned round, so that the newest comes first.
function placeOf(one, order) {
    const date = JSON.parse(one.item)[order], known = typeof date === 'string' && DATE.test(date) ? date : '0000-00-00T00:00:00';
    return known.slice(0, 19).replace(/[0-9]/g, (figure) => String(9 - Number(figure))) + ' ' + one.id.toLowerCase();
}

async function page(r, want) {
    const role = access.who(r).role;
    let volume = role ? tables.WHOLE : '', pages = await index(r, volume);
    if (pages === null && volume) {  // what is here is all for everybody
        volume = '';
        pages = await index(r, volume);
    }
    if (pages === null) {
        throw answers.refusal(404, tables.MESSAGES.unlisted);
    }
    const items = [], begin = Math.max(countUpTo(pages, want.start) - 2, 0);
    if (want.order) {
        const found = await sorted(r, volume, pages.slice(begin).filter((one) => !isPast(want, one[1])), want, role);
        return found;
    }
    for (let at = begin; at < pages.length && !isPast(want, pages[at][1]); at++) {
        if (at - begin > tables.LIST_READS) {
            return {items, next: pages[at][1]};
        }
        const listed = await lines(r, volume, pages[at][0]);
        const found = listed.filter((one) => fits(one, want) && sees(role, one));
        for (let i = 0; i < found.length; i++) {
            if (items.length === want.limit) {
                return {items, next: found[i].id.toLowerCase()};
            }
            items.push(found[i].item);
        }
    }
    return {items, next: null};
}

// Answers a list.
async function listed(r, kinds) {
    const want = wanted(r, kinds);
    const found = await page(r, want);
    const headers = {};
    if (found.next !== null) {
        const kept = (r.variables.args || '').split('&').filter((one) => one && !/^cursor=/.test(one));
        const query = kept.concat(['cursor=' + encodeURIComponent(found.next)]).join('&');
        Object.assign(headers, answers.linked('<' + requests.origin(r) + '/api/' + kinds + '?' + query + '>; rel="next"'));
    }
    answers.sendJson(r, '[' + found.items.join(',') + ']', headers);
}

export default { known, listed, page };
