/** The full text of the error that some work throws. */
import { SecateurError } from '../../src/core/errors.ts';

/** The message of the SecateurError, `accepted` where none is thrown; any other error is thrown on, for the test to fail with. */
export function message(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof SecateurError) return error.message;
    throw error;
  }
  return 'accepted';
}
