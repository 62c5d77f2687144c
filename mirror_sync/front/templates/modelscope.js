// The API by which ModelScope's clients read: mirror_sync/front/protocols/modelscope_api.py in JavaScript. njs 0.7.9 wants
// `await` in statements of their own.

import answers from 'answers.js';
import hub from 'hub.js';
import listing from 'listing.js';
import requests from 'requests.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const OWN = tables.OF.modelscope;
const NUMBER = /^[1-9][0-9]{0,8}$/, NO_DIGIT = /[^0-9]/;  // in njs a dollar also matches before a line feed at the end

async function ms_files(r, fields) {
    await sendListing(r, fields, wanted(r, false));
}

async function ms_tree(r, fields) {
    await sendListing(r, fields, wanted(r, true));
}

// What is asked for of a listing: all that is in a folder, or a page of it. Pages count from 1; 0 is all.
function wanted(r, paged) {
    const folder = requests.argument(r, 'Root').split('/').filter((part) => part).join('/');
    const recursive = requests.isTrue(requests.argument(r, 'Recursive')), number = requests.argument(r, 'PageNumber');
    if (!paged || !number) {
        return {folder, recursive, number: 0, size: OWN.MOST_LISTED, before: 0};
    }
    const size = requests.argument(r, 'PageSize') || String(OWN.PAGE_SIZE);
    if (NO_DIGIT.test(number + size) || !NUMBER.test(number) || !NUMBER.test(size) || Number(size) > OWN.MOST_LISTED) {
        throw answers.refusal(400, OWN.BAD_PAGE);
    }
    return {folder, recursive, number: Number(number), size: Number(size), before: (Number(number) - 1) * Number(size)};
}

async function sendListing(r, fields, want) {
    const opened = await open(r, fields), page = await pageOf(r, opened, want);
    if (page.next && (!want.number || page.entries.length < want.size)) {
        throw tooMany();  // a client takes a short page, or the only one, for the end
    }
    const at = seconds(opened.root.last.date), entries = page.entries.map((line) => entry(line, at));
    tell(r, '{"Files":[' + entries.join(',\n') + ']}', answers.settled(opened));
}

async function pageOf(r, opened, want) {
    const root = opened.root, read = (number) => snapshots.shard(r, root, number);
    if (want.number && listing.endShard(root, want.folder) - listing.firstShard(root, want.folder) > OWN.MOST_SHARDS) {
        throw tooMany();  // already on the first page: a client may take a refusal of a later one for the end
    }
    if (!want.recursive || !want.before) {
        const found = await cut(root, read, want);
        return found;
    }
    const counted = (segment) => snapshots.counted(r, opened.digest, segment);
    const place = await listing.placeAfter(root, read, counted, want.folder, want.before);
    if (place === null) {
        return {entries: [], next: null};
    }
    const page = await listing.page(root, read, want.folder, true, place, want.size);
    return page;
}

// A page of what is listed from its beginning on, which is not far.
async function cut(root, read, want) {
    if (want.before + want.size > OWN.MOST_LISTED) {
        throw tooMany();
    }
    const page = await listing.page(root, read, want.folder, want.recursive, null, want.before + want.size);
    return {entries: page.entries.slice(want.before), next: page.next};
}

function tooMany() {
    return answers.refusal(413, OWN.MANY_ENTRIES);
}

// An entry of a listing as ModelScope has it; `Revision` is what its clients know a cached file by.
function entry(line, at) {
    const one = JSON.parse(line), isFile = one.type === 'file';
    return JSON.stringify({
        Name: one.path.slice(one.path.lastIndexOf('/') + 1),
        Path: one.path,
        Type: isFile ? 'blob' : 'tree',
        Size: one.size,
        Sha256: isFile ? one.sha256 : '',
        IsLFS: one.lfs !== undefined,
        Revision: one.oid,
        CommittedDate: at,
    });
}

async function ms_file(r, fields) {
    const opened = await open(r, fields);
    const path = requests.decoded(fields.path), found = await hub.fileEntry(r, opened, path);
    answers.sendBlob(r, hub.blobOf(opened, path, found));
}

async function ms_revisions(r, fields) {
    const refs = await snapshots.refsOf(r, fields), shown = snapshots.shown(refs), met = Object.create(null);
    const names = (snapshots.leadsTo(refs, 'main') ? [OWN.MASTER] : [])
        .concat(shown.branches.concat(shown.tags).map((one) => one.name), Object.keys(refs.snapshots).sort())
        .filter((name) => !met['"' + name] && (met['"' + name] = true));
    const branches = names.map((name) => ({Revision: name, ShowName: name, CreatedAt: 0}));
    tell(r, JSON.stringify({RevisionMap: {Branches: branches, Tags: []}}), {});
}

async function ms_info(r, fields) {
    const opened = await open(r, fields), said = await known(r, opened), at = fields.id.indexOf('/');
    const owner = fields.id.slice(0, at), name = fields.id.slice(at + 1);
    tell(r, JSON.stringify({
        Id: fields.id,
        Name: name,
        Path: owner,
        Owner: owner,
        Type: OWN.GENERAL,
        Visibility: said.private ? OWN.PRIVATE : OWN.PUBLIC,
        License: said.license,
        Tags: said.tags,
        Revision: opened.commit,
        LastUpdatedTime: seconds(opened.root.last.date),
        StorageSize: opened.root.bytes,
        Downloads: 0,
        Stars: 0,
    }), answers.settled(opened));
}

// As newer clients ask, by keys of another case.
async function ms_open_info(r, fields) {
    const opened = await open(r, fields), said = await known(r, opened);
    answers.sendJson(r, JSON.stringify({success: true, request_id: '', data: {
        id: fields.id,
        display_name: fields.id.slice(fields.id.indexOf('/') + 1),
        license: said.license,
        tags: said.tags,
        private: said.private,
        gated: said.gated,
        file_size: opened.root.bytes,
        last_modified: opened.root.last.date || '',
        downloads: 0,
        likes: 0,
    }}), answers.settled(opened));
}

// What an upstream said of a repo: what is not said is empty; what is not said to be open is private, and gated.
async function known(r, opened) {
    const said = await snapshots.described(r, opened.root), card = said.cardData || {};
    return {private: said.private !== false, gated: said.gated !== false,
            license: typeof card.license === 'string' ? card.license : '',
            tags: Array.isArray(said.tags) ? said.tags.filter((one) => typeof one === 'string') : []};
}

// The snapshot that a revision leads to; of a repo without a main branch `master` is what it is called.
async function open(r, fields) {
    if (requests.decoded(fields.rev) === 'main') {
        const refs = await snapshots.refsOf(r, fields);
        if (!snapshots.leadsTo(refs, 'main')) {
            fields = Object.assign({}, fields, {rev: OWN.MASTER});
        }
    }
    const opened = await snapshots.open(r, fields);
    return opened;
}

// Since 1970; 0 for what is no date of ours.
function seconds(date) {
    const at = Date.parse(date);
    return isNaN(at) ? 0 : Math.floor(at / 1000);
}

function tell(r, about, headers) {
    answers.sendJson(r, '{"Code":200,"Data":' + about + ',"Message":"success","RequestId":"","Success":true}', headers);
}

export default { routes: {ms_files, ms_tree, ms_file, ms_revisions, ms_info, ms_open_info} };
