// node torrent.mjs TORRENT FOLDER, in a folder with webtorrent: fetches all of it, alone with its web seeds, and ends.

import {register} from 'node:module';

// WebRTC leads to other peers, which nobody meets here, and its binary is fetched by a script that is not run.
const NONE = 'export const RTCPeerConnection = null, RTCSessionDescription = null, RTCIceCandidate = null;';
const HOOK = `export async function resolve(name, context, next) {
    const url = ${JSON.stringify('data:text/javascript,' + encodeURIComponent(NONE))};
    return name === 'webrtc-polyfill' ? {url, format: 'module', shortCircuit: true} : next(name, context);
}`;
register('data:text/javascript,' + encodeURIComponent(HOOK));
const {default: WebTorrent} = await import('webtorrent');

const [torrent, path] = process.argv.slice(2);
const client = new WebTorrent({dht: false, lsd: false, natUpnp: false, natPmp: false, tracker: false, utp: false, utPex: false});

function fail(error) {
    console.error(error);
    process.exit(1);
}

client.on('error', fail);
client.add(torrent, {path}, (added) => {
    added.on('error', fail);
    const end = () => client.destroy(() => {
        console.log(`${added.files.length} files`);
        process.exit(0);
    });
    if (added.done) {
        end();
    } else {
        added.on('done', end);
    }
});
