// A registry of OCI: mirror_sync/front/protocols/oci.py in JavaScript.

import access from 'access.js';
import answers from 'answers.js';
import bucket from 'bucket.js';
import readers from 'readers.js';
import requests from 'requests.js';
import slices from 'slices.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const OWN = tables.OF.oci;
const JSON_DOCUMENT = tables.MEDIA_TYPES.json;
const A_LAYER = 600;  // characters of a descriptor from its digest on, and more
const IS_TAG = new RegExp('^' + OWN.TAG + '$');

// Who is told nothing of tokens here sends none later: so where there are some, each is sent to get one.
async function oci_base(r) {
    if (tables.ACCESS.tokens && access.who(r).badge === 'none') {
        throw access.unauthorized(tables.MESSAGES.token + '; ask ' + tables.ACCESS.whom + ' for one');
    }
    sendJson(r, {}, Object.assign({'Cache-Control': tables.CACHING.never}, OWN.VERSION));
}

// The token that was sent as a password, to be sent as a bearer's; who sends none gets one of nobody's.
async function oci_token(r) {
    const badge = access.who(r).badge;
    if (badge === 'unknown') {
        throw access.unauthorized(tables.MESSAGES.strange + '; ask ' + tables.ACCESS.whom + ' for one');
    }
    const token = badge === 'held' ? readers.credential(r.headersIn.Authorization || '') : OWN.NOBODY;
    sendJson(r, {token, access_token: token, expires_in: 300}, {'Cache-Control': tables.CACHING.never});
}

async function oci_tags(r, fields) {
    const refs = await snapshots.refsOf(r, fields), count = requests.argument(r, 'n'), after = requests.argument(r, 'last');
    if (count && (/[^0-9]/.test(count) || count.length > 9)) {
        throw answers.refusal(400, OWN.WORDS.count);
    }
    const quants = await moreOfMain(r, refs);
    const tags = tagsOf(refs, quants).filter((tag) => tag > after);
    const most = Math.min(count ? Number(count) : OWN.FEW, OWN.FEW), name = (fields.place + fields.id).toLowerCase();
    const headers = {'Cache-Control': tables.CACHING.moving};
    if (most > 0 && most < tags.length) {
        const target = '/v2/' + name + '/tags/list?n=' + most + '&last=' + tags[most - 1];
        Object.assign(headers, answers.linked('<' + requests.origin(r) + target + '>; rel="next"'));
    }
    sendJson(r, {name, tags: tags.slice(0, most)}, headers);
}

// Its quantizations, and, where there is one, its image.
async function moreOfMain(r, refs) {
    const main = snapshots.commitOf(refs, 'main');
    if (!main) {
        return [];
    }
    const root = await snapshots.rootOf(r, refs.snapshots[main]), more = await moreOf(r, root, '');
    const images = tables.LAYERS_AT && attached(root)[OWN.IMAGE] ? ['main', OWN.LATEST].map((name) => name + OWN.SUFFIX) : [];
    return images.concat(more === null ? [] : namesOf(more));
}

// Every name of a commit that is a tag, in the order of letters.
function tagsOf(refs, quants) {
    const known = (commit) => Boolean(refs.snapshots[commit]), ours = refs.channels || {};
    const short = refs.branches.concat(refs.tags).filter((ref) => known(ref.targetCommit)).map((ref) => ref.name);
    const channels = Object.keys(ours).filter((name) => known(ours[name]));
    const latest = snapshots.commitOf(refs, 'main') ? [OWN.LATEST] : [];
    return sorted(short.concat(channels, latest, quants, Object.keys(refs.snapshots)).filter((name) => IS_TAG.test(name)));
}

function sorted(names) {
    return names.sort().filter((name, at, all) => at === 0 || name !== all[at - 1]);
}

function namesOf(more) {
    return sorted(more.quants.reduce((names, one) => names.concat(one.names), []));
}

// What proves the commit of a manifest; of any other digest there is nothing, which is no error.
async function oci_referrers(r, fields) {
    const wanted = requests.argument(r, 'artifactType'), roots = await rootsOf(r, fields);
    const bound = {read: 0};
    let manifests = [];
    for (let i = 0; i < roots.length; i++) {
        begin(bound);
        const root = await snapshots.rootOf(r, roots[i]);
        if (attached(root)[OWN.MANIFEST] === fields.digest) {
            const more = await moreOf(r, root, '');
            manifests = more === null ? [] : more.referrers.filter((one) => !wanted || one.artifactType === wanted);
            break;
        }
    }
    const headers = {'Content-Type': OWN.OCI_INDEX, 'Cache-Control': tables.CACHING.settled};
    if (wanted) {
        headers['OCI-Filters-Applied'] = 'artifactType';
    }
    answers.send(r, 200, headers, JSON.stringify({schemaVersion: 2, mediaType: OWN.OCI_INDEX, manifests}));
}

async function oci_manifest(r, fields) {
    const opened = await snapshots.open(r, fields), more = await moreOf(r, opened.root, '');
    const quant = fields.quant || '', docker = wantsDocker(r.headersIn.Accept || '');
    const said = {commit: opened.commit, caching: answers.settled(opened)['Cache-Control']};
    if (more === null) {
        throw noDocuments(fields, opened);
    }
    if (fields.image) {
        const image = await imageOf(r, opened.root, '');
        if (image === null) {
            throw notKnown(OWN.WORDS.image, {repo: fields.id, commit: opened.commit});
        }
        return sendText(r, image, image.index, said);
    }
    if (!quant && !docker) {
        return sendDocument(r, attached(opened.root)[OWN.MANIFEST], OWN.OCI_MANIFEST, '/-/oci/manifest', said);
    }
    const found = quant ? more.quants.filter((one) => one.names.indexOf(quant.toUpperCase()) >= 0)[0]
                        : more.quants[more.default === null ? -1 : more.default];
    if (!found && quant) {
        throw noQuant(fields, quant, more);
    }
    const digest = found ? (docker ? found.ollama : found.pack) : '';
    if (!digest) {
        throw notKnown(OWN.WORDS.ollama, {repo: fields.id, commit: opened.commit});
    }
    sendText(r, more, digest, said);
}

// A manifest by its digest, of any commit that is published.
async function oci_pinned(r, fields) {
    const roots = await rootsOf(r, fields), digest = fields.digest, bound = {read: 0};
    for (let i = 0; i < roots.length; i++) {
        begin(bound);
        const root = await snapshots.rootOf(r, roots[i]);
        if (!attached(root)[OWN.MANIFEST]) {
            continue;
        }
        const said = {commit: root.commit, caching: tables.CACHING.immutable};
        if (attached(root)[OWN.MANIFEST] === digest) {
            return sendDocument(r, digest, OWN.OCI_MANIFEST, '/-/oci/manifest', said);
        }
        const more = await moreOf(r, root, digest, bound);
        if (more !== null && more.texts[digest]) {
            return sendText(r, more, digest, said);
        }
        const image = await imageOf(r, root, digest, bound);
        if (image !== null && image.texts[digest]) {
            return sendText(r, image, digest, said);
        }
    }
    throw answers.refusal(404, tables.MESSAGES.revision, 'RevisionNotFound');
}

async function oci_blob(r, fields) {
    const roots = await rootsOf(r, fields), digest = fields.digest, bound = {read: 0};
    const where = {Location: r.variables.request_uri.split('?')[0].replace(/^\/+/, '/')};
    for (let i = 0; i < roots.length; i++) {
        begin(bound);
        const root = await snapshots.rootOf(r, roots[i]);
        if (!attached(root)[OWN.MANIFEST]) {
            continue;
        }
        const said = {commit: root.commit, caching: tables.CACHING.immutable, where};
        if (OWN.GIVEN.some((name) => attached(root)[name] === digest)) {
            return sendDocument(r, digest, tables.BINARY, '/-/oci/blob', said);
        }
        const text = await bucket.document(r, attached(root)[OWN.MANIFEST]), size = layerSize(text, digest);
        bound.read += text.length;
        if (size !== null) {
            const location = slices.wanted(size) ? '/-/oci/slices' : '/-/oci/blob';
            return sendDocument(r, digest, tables.BINARY, location, Object.assign({size, sized: true}, said));
        }
        const more = await moreOf(r, root, digest, bound);
        if (more !== null && more.texts[digest]) {
            return sendText(r, more, digest, Object.assign({type: tables.BINARY}, said));
        }
        const image = await imageOf(r, root, digest, bound);
        if (image !== null && image.texts[digest]) {
            return sendText(r, image, digest, Object.assign({type: tables.BINARY}, said));
        }
        if (image !== null) {
            return r.internalRedirect('/-/oci/layer');  // a layer, which another front puts together of files
        }
    }
    throw answers.entryNotFound();
}

// ---- documents

function attached(root) {
    return root.attachments || {};
}

// The small documents of a commit, null where there are none, and where none is of the digest `naming`.
function moreOf(r, root, naming, bound) {
    return documentOf(r, attached(root)[OWN.MORE], naming, bound);
}

// The same of a commit as an image: a layer's digest stands in its manifests.
function imageOf(r, root, naming, bound) {
    return documentOf(r, tables.LAYERS_AT ? attached(root)[OWN.IMAGE] : '', naming, bound);
}

async function documentOf(r, digest, naming, bound) {
    if (!digest) {
        return null;
    }
    const text = await bucket.document(r, digest);
    if (bound) {
        bound.read += text.length;
    }
    return text.indexOf(naming) >= 0 ? JSON.parse(text) : null;
}

// Another commit, for a request that looks for a digest among all of a repo; a refusal where enough was read.
function begin(bound) {
    if (bound.read >= OWN.MOST_READ) {
        throw answers.refusal(413, OWN.WORDS.commits);
    }
    bound.read += OWN.A_COMMIT;
}

// The roots of all commits, those first that have names: most are asked for by these.
async function rootsOf(r, fields) {
    const refs = await snapshots.refsOf(r, fields), ours = refs.channels || {};
    const every = refs.branches.concat(refs.tags, refs.converts, refs.pullRequests).map((ref) => ref.targetCommit);
    const named = [snapshots.commitOf(refs, 'main')].concat(every, Object.keys(ours).map((name) => ours[name]));
    const roots = named.concat(Object.keys(refs.snapshots)).map((commit) => refs.snapshots[commit]);
    const met = Object.create(null);
    return roots.filter((root) => root && !met[root] && (met[root] = true));
}

// The bytes of a layer of a manifest of ours, null where it has no such layer.
function layerSize(manifest, digest) {
    const at = manifest.indexOf('"digest":"sha256:' + digest + '","mediaType":"');
    const found = at < 0 ? null : new RegExp(OWN.LAYER.replace('{digest}', digest)).exec(manifest.slice(at, at + A_LAYER));
    return found === null ? null : Number(found[1]);
}

// ---- answers

// Whether a client takes a manifest as Docker had it, and none of OCI: Ollama.
function wantsDocker(accept) {
    return accept.indexOf(OWN.DOCKER_MANIFEST) >= 0 && accept.indexOf('vnd.oci.image.manifest') < 0 && accept.indexOf('*/*') < 0;
}

function blobOf(digest, type, said) {
    return Object.assign({digest, etag: '"' + digest + '"', type, more: Object.assign({'Docker-Content-Digest': 'sha256:' + digest},
                                                                                      said.where || {})}, said);
}

function sendDocument(r, digest, type, location, said) {
    answers.sendBlob(r, Object.assign(blobOf(digest, type, said), {location}));
}

function sendText(r, more, digest, said) {
    const blob = blobOf(digest, said.type || more.texts[digest][0], said), text = more.texts[digest][1];
    answers.sendText(r, blob, text, answers.isCurrent(r, blob.etag) ? null : requests.byteRange(r, blob.etag, text.length));
}

function sendJson(r, value, headers) {
    answers.send(r, 200, Object.assign({'Content-Type': JSON_DOCUMENT}, headers), JSON.stringify(value));
}

// A message with words in its braces, as they are: `replace` would read a dollar in them.
function notKnown(message, words) {
    const said = Object.keys(words).reduce((text, name) => text.split('{' + name + '}').join(words[name]), message);
    return answers.refusal(404, said, 'RevisionNotFound');
}

function noDocuments(fields, opened) {
    const large = opened.root.files > OWN.MOST_FILES, words = {repo: fields.id, commit: opened.commit};
    return notKnown(large ? OWN.WORDS.large : OWN.WORDS.documents, Object.assign(words, {files: String(opened.root.files)}));
}

function noQuant(fields, quant, more) {
    const names = namesOf(more);
    return names.length ? notKnown(OWN.WORDS.quant, {repo: fields.id, tag: quant, names: names.join(', ')})
                        : answers.refusal(404, tables.MESSAGES.revision, 'RevisionNotFound');
}

export default { routes: {oci_base, oci_token, oci_tags, oci_referrers, oci_manifest, oci_pinned, oci_blob} };
