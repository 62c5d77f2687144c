// MIRROR=URL node use.mjs NAME, in a folder with the packages: one client reads the mirror; its last line is what it read.

const url = process.env.MIRROR;

const USES = {
    async hub() {
        const hub = await import('@huggingface/hub');
        const repo = 'acme/bert', hubUrl = url, paths = [];
        for await (const file of hub.listFiles({repo, hubUrl, recursive: true})) {
            paths.push(file.path);
        }
        const info = await hub.modelInfo({name: repo, hubUrl});
        const file = await hub.downloadFile({repo, path: 'config.json', hubUrl});
        const listed = [];
        for await (const model of hub.listModels({search: {owner: 'acme'}, hubUrl})) {
            listed.push(model.name);
        }
        if (!paths.includes('model.safetensors') || !listed.includes(repo) || info.name !== repo) {
            throw new Error(JSON.stringify({paths, listed, info}));
        }
        return `${paths.length} files, ${(await file.text()).length} bytes of config.json, ${listed.length} models`;
    },
    async transformers() {
        const {AutoTokenizer, env} = await import('@huggingface/transformers');
        env.remoteHost = url + '/';  // with the slash
        env.allowLocalModels = false;
        env.useFSCache = false;
        const tokenizer = await AutoTokenizer.from_pretrained('acme/bert');
        return JSON.stringify(tokenizer.encode('a tiny model'));
    },
    async gguf() {
        const {gguf} = await import('@huggingface/gguf');
        const {tensorInfos} = await gguf(url + '/acme/quants/resolve/main/tiny-Q4_K_M.gguf');
        return `${tensorInfos.length} tensors`;
    },
};

USES[process.argv[2]]().then((said) => console.log(said), (error) => {
    console.error(error);
    process.exit(1);
});
