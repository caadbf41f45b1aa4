/** A process that fetches one file, for tests that kill it: `fetch-child.ts URL CACHE`. Says `N bytes` as they come. */
import { fetchFile } from '../../src/zoo/fetch/download.node.ts';
import { openCache } from '../../src/zoo/store/cache.node.ts';

const [url, root] = process.argv.slice(2);
const onProgress = (done: number): boolean => process.stdout.write(`${done} bytes\n`);
await fetchFile({ path: 'net.onnx', url, claims: [] }, await openCache(root), { allowHttp: true, onProgress, backoffMs: 1 });
