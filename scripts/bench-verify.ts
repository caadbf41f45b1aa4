/** `npx tsx scripts/bench-verify.ts [MIB] [ROUNDS] [FOLDER]`: time to verify beside sha256sum and openssl; default 2048 MiB, 5 rounds. */
import { benchVerify, verifyLine } from '../bench/verify.ts';

const [mebibytes = '2048', rounds = '5', folder] = process.argv.slice(2);
process.stdout.write(`${verifyLine(await benchVerify(Number(mebibytes), Number(rounds), folder))}\n`);
