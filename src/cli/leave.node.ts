/** How a process ends that was told to stop. */
import { platform } from 'node:process';

/**
 * Ends the process as one that Ctrl-C ended: by the signal itself, which a shell shows as exit code 130. An orderly exit would wait for
 * the worker thread, and one that sits in the middle of a long run of ONNX Runtime answers with an abort of the whole process.
 */
export function leaveInterrupted(): void {
  process.exitCode = 130;
  // Windows has no signals to die of.
  if (platform === 'win32') process.exit();
  process.removeAllListeners('SIGINT');
  process.kill(process.pid, 'SIGINT');
}
