/**
 * Runs a model of models.lock on digits, without a moment between the check of its bytes and their use.
 * `npx tsx examples/zoo/classify.ts NAME [PROJECT]`; exits with 3 where the installed file is not the one in the lock.
 */
import { fileURLToPath } from 'node:url';
import { digits, openRuntime, predict, readModel, readVerified, SecateurError } from '../../src/index.ts';

/** A line on the model and how many of 200 digits it reads right. Throws SecateurError for a file that is not the locked one. */
export async function classify(name: string, project?: string): Promise<string> {
  const { bytes, model: locked } = await readVerified(name, project === undefined ? {} : { project });
  const file = locked.files.find((f) => f.format === 'onnx');
  if (file === undefined) return `${name} has no ONNX file`;
  const model = readModel(bytes.get(file.path)!, file.path);
  const test = digits({ count: 200, seed: 2, role: 'test' });
  const runtime = await openRuntime();
  const { labels } = await predict(runtime, model, test);
  await runtime.dispose();
  const right = labels.filter((label, i) => label === test.labels[i]).length;
  return `${name}: ${file.digest}, ${locked.integrity}; ${right} of ${test.count} digits right`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name = 'digits', project] = process.argv.slice(2);
  try {
    console.log(await classify(name, project));
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    console.error(error.message);
    process.exitCode = error.exitCode;
  }
}
