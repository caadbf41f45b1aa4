/** The building blocks of the page: sections, figures, tables, notes. */
import type { ComponentChildren, JSX } from 'preact';
import type { SectionId } from './media.ts';

/** Anchor of a section; `curves-<n>` is a group of a recipe's charts. */
export type Anchor = SectionId | 'other' | `curves-${number}`;

interface SectionProps {
  readonly id: Anchor;
  readonly title: string;
  /** What the reader looks at, in a sentence or two. */
  readonly lead?: ComponentChildren;
  /** The recipe's own paragraphs. */
  readonly captions?: readonly string[];
  readonly children: ComponentChildren;
}

export function Section({ id, title, lead, captions = [], children }: SectionProps): JSX.Element {
  return (
    <section id={id} aria-labelledby={`${id}-heading`}>
      <h2 id={`${id}-heading`}>{title}</h2>
      {lead && <p class="lead">{lead}</p>}
      {captions.map((text) => (
        <p key={text}>{text}</p>
      ))}
      {children}
    </section>
  );
}

/** Charts side by side, `wide` two in a row and `medium` or `small` three (`small` also on paper), below each other where the page is narrow. */
export function Panels({ children, size = 'wide' }: { children: ComponentChildren; size?: 'wide' | 'medium' | 'small' }): JSX.Element {
  return <div class={`panels panels-${size}`}>{children}</div>;
}

interface FigureProps {
  readonly title: string;
  readonly children: ComponentChildren;
  readonly caption?: ComponentChildren;
}

export function Figure({ title, children, caption }: FigureProps): JSX.Element {
  return (
    <figure>
      <h3>{title}</h3>
      {children}
      {caption && <figcaption>{caption}</figcaption>}
    </figure>
  );
}

/** A dot and a word in the colour that the charts use. */
export function KeyWord({ tone, children }: { tone: string; children: ComponentChildren }): JSX.Element {
  return <span class={`key tone-${tone}`}>{children}</span>;
}

/** What the diamond means, wherever a chart has one. */
export function PaperKey(): JSX.Element {
  return <span class="key-paper">the paper's number</span>;
}

/** The numbers of a chart. Open where the table is the point; shut where it is long. Print shows both. */
export function Numbers({ summary, open, children }: { summary: string; open?: boolean; children: ComponentChildren }): JSX.Element {
  return (
    <details open={open}>
      <summary>{summary}</summary>
      {children}
    </details>
  );
}

/** A notice beside a table, one item a sentence. */
export function Notes({ notes }: { notes?: readonly string[] }): JSX.Element | null {
  if (!notes || notes.length === 0) return null;
  return (
    <aside class="notes" aria-label="Notes on the numbers">
      <ul>
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
    </aside>
  );
}

/** The numbers of a chart with the notes on them: beside the table where it is open, below where it is shut, so that none is hidden. */
export function NumbersAndNotes(props: {
  summary: string;
  open?: boolean;
  notes?: readonly string[];
  children: ComponentChildren;
}): JSX.Element {
  const { summary, open, notes, children } = props;
  if (!open || !notes || notes.length === 0) {
    return (
      <>
        <Numbers summary={summary} open={open}>
          {children}
        </Numbers>
        <Notes notes={notes} />
      </>
    );
  }
  return (
    <Numbers summary={summary} open>
      <div class="beside">
        {children}
        <Notes notes={notes} />
      </div>
    </Numbers>
  );
}

interface PlainTableProps {
  readonly caption: ComponentChildren;
  readonly head: readonly string[];
  /** First entry of each row is its header. */
  readonly rows: readonly (readonly ComponentChildren[])[];
  /** Columns that hold words and not numbers. */
  readonly words?: readonly number[];
  /** As wide as the page. */
  readonly fill?: boolean;
}

/** A table of texts; scrolls by itself where it is wider than the page. */
export function PlainTable({ caption, head, rows, words = [], fill }: PlainTableProps): JSX.Element {
  return (
    <Scroll label={head.join(', ')} fill={fill}>
      <table>
        <caption>
          <span class="caption">{caption}</span>
        </caption>
        <thead>
          <tr>
            {head.map((h, i) => (
              <th key={h} scope="col" class={i === 0 || words.includes(i) ? 'words' : undefined}>
                {h}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, r) => (
            <tr key={String(r)}>
              <th scope="row">{row[0]}</th>
              {row.slice(1).map((entry, i) => (
                <td key={head[i + 1]} class={words.includes(i + 1) ? 'words' : undefined}>
                  {entry}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** Something wide that the keyboard can scroll. */
export function Scroll({ label, fill, children }: { label: string; fill?: boolean; children: ComponentChildren }): JSX.Element {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class={fill ? 'scroll fill' : 'scroll'} aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
