/** The whole of what a user is told when something fails. */
import { SecateurError } from '../../src/core/errors.ts';

/** `EXIT message` of the SecateurError that work ends in; any other error, or none, fails the test. */
export async function told(work: () => unknown): Promise<string> {
  let result: unknown;
  try {
    result = await work();
  } catch (error) {
    if (!(error instanceof SecateurError)) throw error;
    return `${error.exitCode} ${error.message}`;
  }
  throw new Error(`nothing was refused; the result is ${JSON.stringify(result)}`);
}
