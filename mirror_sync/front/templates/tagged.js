// Repos and revisions as clients of registries name them: `_tagged` of mirror_sync/front/protocols/mounted.py in JavaScript.

import access from 'access.js';
import snapshots from 'snapshots.js';
import tables from 'tables.js';

const LATEST = 'latest', SUFFIX = tables.OF.oci.SUFFIX;

// The fields of a request: ids in any letters, `latest`, and words for a part of a commit. A repo that is hidden from who asks
// stays unknown under the name that was asked for.
async function named(r, asking, fields) {
    const repo = snapshots.named(fields), made = Object.assign({}, fields);
    if (repo === null) {
        return made;
    }
    let refs = await snapshots.read(r, repo.kinds, repo.id);
    if (refs === null || !snapshots.isThere(refs)) {
        const other = await published(r, asking, repo);
        if (other !== null) {
            made.id = other.id;
            refs = other.refs;
        }
    }
    if (made.rev === LATEST) {
        made.rev = 'main';
    } else if (made.rev !== undefined && refs !== null && !namesCommit(refs, made.rev)) {
        const base = made.rev.slice(0, -SUFFIX.length), image = tables.LAYERS_AT && made.rev.slice(-SUFFIX.length) === SUFFIX;
        const named = image && (base === LATEST || namesCommit(refs, base));
        made[named ? 'image' : 'quant'] = made.rev;
        made.rev = named && base !== LATEST ? base : 'main';
    }
    return made;
}

function namesCommit(refs, tag) {
    return snapshots.isCommit(tag) || Boolean(snapshots.leadsTo(refs, tag));
}

async function published(r, asking, repo) {
    const id = await snapshots.meant(r, repo.kinds, repo.id);
    if (id === null) {
        return null;
    }
    const refs = await snapshots.read(r, repo.kinds, id);
    const closed = refs === null ? false : await snapshots.isClosed(r, refs);
    return access.decide(asking.role, repo.kinds, id, closed) === 'hidden' ? null : {id, refs};
}

export default { named };
