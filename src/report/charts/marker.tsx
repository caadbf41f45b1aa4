/** Marks on lines: shapes tell lines apart where more than two share a plot, so that colour is not needed for it. */
import type { JSX } from 'preact';
import { px } from './frame.tsx';

/** By the place of a line in its chart: disc, square, triangle, ring, triangle on its head; then again from the start. No diamond: that is the paper's. */
export function Marker({ shape, x, y }: { shape: number; x: number; y: number }): JSX.Element {
  const [cx, cy] = [px(x), px(y)];
  switch (shape % 5) {
    case 1:
      return <path class="dot" d={`M${px(x - 4.6)},${px(y - 4.6)}h9.2v9.2h-9.2z`} />;
    case 2:
      return <path class="dot" d={`M${cx},${px(y - 6)}l5.8,10h-11.6z`} />;
    case 3:
      return <circle class="dot-hollow" cx={cx} cy={cy} r={4.4} />;
    case 4:
      return <path class="dot" d={`M${cx},${px(y + 6)}l5.8,-10h-11.6z`} />;
    default:
      return <circle class="dot" cx={cx} cy={cy} r={5} />;
  }
}
