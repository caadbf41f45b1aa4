/** A body's pieces as they come, none lost when the connection breaks. */
import type { Readable } from 'node:stream';

/** Bytes that may wait for the disk before the server is held up. */
const AHEAD = 4 * 2 ** 20;

/**
 * Takes pieces from the moment it is made. Iterating over the stream itself would throw at once and drop what had arrived before, so that a
 * connection that breaks often would never get anywhere; and a stream that breaks while nobody listens yet would say so to nobody.
 */
export class Arriving {
  readonly #body: Readable;
  readonly #pieces: Uint8Array[] = [];
  #waiting = 0;
  #ended: { error?: unknown } | undefined;
  #wake = (): void => {};

  constructor(body: Readable) {
    this.#body = body;
    body.on('data', (piece: Uint8Array) => {
      this.#pieces.push(piece);
      this.#waiting += piece.length;
      if (this.#waiting > AHEAD) body.pause();
      this.#wake();
    });
    body.once('end', () => this.#finish());
    body.on('error', (error) => this.#finish(error));
    body.once('close', () => this.#finish(Object.assign(new Error('the body was closed before its end'), { code: 'UND_ERR_SOCKET' })));
  }

  #finish(error?: unknown): void {
    this.#ended ??= { error };
    this.#wake();
  }

  /** The pieces, then the error if there is one. */
  async *pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.#waiting -= piece.length;
        if (this.#waiting <= AHEAD / 2 && this.#body.isPaused()) this.#body.resume();
        yield piece;
      } else if (this.#ended !== undefined) {
        if (this.#ended.error !== undefined) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((done) => {
          this.#wake = done;
        });
      }
    }
  }

  /** Ends the connection of an answer that is not wanted any more; what it has to say about that is not an error. */
  discard(): void {
    this.#body.destroy();
  }
}
