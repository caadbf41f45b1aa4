/**
 * Progress on stderr: one line with a bar that redraws itself on a terminal, plain lines elsewhere (one an epoch, and one every half
 * minute within long ones). Our own because the bar of @clack/prompts puts the terminal into raw mode and answers Ctrl-C with
 * process.exit(0): an interrupted run would end with success and leave its half-written folder behind.
 */
import type { TrainProgress } from '../train/options.ts';
import { duration, oneLine, percent } from './output.node.ts';

/** Where progress is written to. */
export interface ProgressSink {
  readonly isTTY: boolean;
  readonly columns: number;
  readonly color: boolean;
  write(text: string): void;
}

const REDRAW_MS = 100;
const PLAIN_MS = 30_000;
const BAR = 24;

export class Progress {
  readonly #sink: ProgressSink;
  readonly #now: () => number;
  /** The bar as it stands on the terminal's last line. */
  #shown = '';
  #last = Number.NEGATIVE_INFINITY;
  #title = '';
  #began = 0;

  constructor(sink: ProgressSink, now: () => number = () => performance.now()) {
    this.#sink = sink;
    this.#now = now;
    // what takes less than half a minute leaves no line in a file, with a step before it or without
    if (!sink.isTTY) this.#last = now();
  }

  /** A line that stays. What is given to this class may hold names out of a file, so all of it is made fit for a terminal. */
  line(text: string): void {
    this.#write(oneLine(text));
  }

  /** The same for text of ours, which may have colours in it. */
  #write(text: string): void {
    this.#erase();
    this.#sink.write(`${text}\n`);
  }

  /** What is being done now; stands before the bar of what follows. On a terminal the step before it stays as a line with its time. */
  step(name: string): void {
    this.#finishStep();
    const title = oneLine(name);
    this.#title = title;
    this.#began = this.#now();
    this.#last = this.#began;
    if (this.#sink.isTTY) this.#draw(title);
    else this.#sink.write(`${title}\n`);
  }

  #finishStep(): void {
    if (this.#title === '' || !this.#sink.isTTY) return;
    this.#write(`${this.#title}  ${this.#paint('2', duration((this.#now() - this.#began) / 1000))}`);
  }

  /** Something short on the way, of interest only while it lasts: shown on a terminal, left out elsewhere. */
  passing(text: string): void {
    const shown = oneLine(text);
    if (this.#sink.isTTY) this.#draw(clip(this.#title === '' ? shown : `${this.#title}  ${shown}`, this.#sink.columns - 1));
  }

  /** `done` of `total`, with a few words behind. */
  update(done: number, total: number, text: string): void {
    const now = this.#now();
    if (now - this.#last < (this.#sink.isTTY ? REDRAW_MS : PLAIN_MS)) return;
    this.#last = now;
    const words = oneLine(text);
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const title = this.#title === '' ? '' : `${this.#title}  `;
    if (!this.#sink.isTTY) {
      this.#sink.write(`${title}${percent(share, 0)}  ${words}\n`);
      return;
    }
    const full = Math.round(share * BAR);
    const bar = `${this.#paint('36', '━'.repeat(full))}${this.#paint('2', '━'.repeat(BAR - full))}`;
    // cut to the terminal's width, or the line wraps and cannot be taken back
    const room = this.#sink.columns - BAR - 1;
    this.#draw(`${bar}${clip(` ${percent(share, 0).padStart(5)}  ${title}${words}`, room)}`);
  }

  /** What a training run reports. */
  readonly train = (p: TrainProgress): void => {
    switch (p.kind) {
      case 'start':
        this.#last = this.#now();
        if (p.doneSteps > 0) this.line(`going on at step ${p.doneSteps + 1} of ${p.totalSteps}`);
        return;
      case 'step':
        this.update(
          p.doneSteps,
          p.totalSteps,
          `epoch ${p.epoch}/${p.epochs}  loss ${p.loss.toFixed(4)}  accuracy ${percent(p.accuracy)}  ` +
            `${Math.round(p.imagesPerSecond)} images/s  ${duration(p.secondsLeft)} left`,
        );
        return;
      case 'epoch': {
        const { record } = p;
        const more = Object.entries(record.evaluated).map(([name, value]) => `  ${name} ${percent(value)}`);
        const title = this.#title === '' ? '' : `${this.#title}  `;
        this.line(
          `${title}epoch ${record.epoch}/${p.epochs}  loss ${record.loss.toFixed(4)}  accuracy ${percent(record.trainAccuracy)}${more.join('')}` +
            `  ${Math.round(record.imagesPerSecond)} images/s`,
        );
        this.#last = this.#now();
        return;
      }
      case 'notice':
        this.line(`note: ${p.text}`);
    }
  };

  /** Ends the step; what comes next starts on a clean line. */
  done(): void {
    this.#finishStep();
    this.#title = '';
    this.#erase();
  }

  #paint(code: string, text: string): string {
    return this.#sink.color && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;
  }

  #draw(text: string): void {
    this.#erase();
    this.#sink.write(text);
    this.#shown = text;
  }

  #erase(): void {
    if (this.#shown === '') return;
    this.#sink.write('\r\u001b[2K');
    this.#shown = '';
  }
}

const clip = (text: string, room: number): string => (text.length <= room ? text : text.slice(0, Math.max(0, room)));

/** stderr as a sink; NO_COLOR (any value but empty) and TERM=dumb are respected. */
export function stderrSink(env: NodeJS.ProcessEnv = process.env): ProgressSink {
  const isTTY = process.stderr.isTTY === true && env.TERM !== 'dumb';
  return {
    isTTY,
    get columns() {
      return process.stderr.columns ?? 80;
    },
    color: isTTY && (env.NO_COLOR ?? '') === '',
    write: (text) => {
      process.stderr.write(text);
    },
  };
}
