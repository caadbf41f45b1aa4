/** The rest of the supply chain: what each practice costs and misses, pages with their hashes, what is known of the real thing. */
import type { JSX } from 'preact';
import { Numbers, Section } from '../parts.tsx';
import type { Practice, ReadmeEntry, SupplyFact } from '../supply-chain-media.ts';
import type { SectionProps } from './context.ts';
import { ENDING_WORDS, EndMark } from './supply-chain.tsx';

export function SupplyPracticesSection({ media }: SectionProps): JSX.Element | null {
  const practices = media.supplyChain?.practices ?? [];
  if (practices.length === 0) return null;
  return (
    <Section
      id="supply-practices"
      title="What each practice costs, and what it misses"
      captions={media.captions?.['supply-practices']}
      lead="A lock says same bytes as then. A signature says who, and same bytes. Neither says that there is no backdoor: for that the network itself has to be looked into."
    >
      <div class="cards">
        {practices.map((p) => (
          <PracticeCard key={p.name} practice={p} />
        ))}
      </div>
    </Section>
  );
}

function PracticeCard({ practice }: { practice: Practice }): JSX.Element {
  const { name, does, command, has, costs, misses, outcomes } = practice;
  return (
    <article class="card">
      <h3>{name}</h3>
      <p>{does}</p>
      <dl>
        <dt>has</dt>
        <dd>{has}</dd>
        <dt>costs</dt>
        <dd>{costs}</dd>
        <dt>misses</dt>
        <dd>{misses}</dd>
      </dl>
      {outcomes.length > 0 && (
        <Numbers summary="What was printed, day by day">
          {command && (
            <pre>
              <code>{command}</code>
            </pre>
          )}
          {outcomes.map((o) => (
            <div key={o.day} class={`end end-${o.ending}`}>
              <h4>{o.day}</h4>
              <p class="fate">
                <EndMark ending={o.ending} />
                {ENDING_WORDS[o.ending]}, exit {o.exitCode}
              </p>
              <pre>
                <code>{o.said === '' ? '(nothing)' : o.said}</code>
              </pre>
            </div>
          ))}
        </Numbers>
      )}
    </article>
  );
}

export function SupplyReadmesSection({ media }: SectionProps): JSX.Element | null {
  const readmes = media.supplyChain?.readmes ?? [];
  if (readmes.length === 0) return null;
  return (
    <Section
      id="supply-readmes"
      title="Pages and their hashes"
      captions={media.captions?.['supply-readmes']}
      lead="Every file here is honest. A hash that is missing, cut short or forgotten stops the one who checks it and not the one who does not; that is how people learn not to check."
    >
      <div class="cards">
        {readmes.map((entry) => (
          <ReadmeCard key={entry.name} entry={entry} />
        ))}
      </div>
    </Section>
  );
}

function ReadmeCard({ entry }: { entry: ReadmeEntry }): JSX.Element {
  const { name, readme, hash, says, attempts } = entry;
  return (
    <article class="card">
      <h3>
        {name}
        <span class={`tag tag-${hash === 'right' ? 'right' : 'other'}`}>SHA-1 {hash}</span>
      </h3>
      <p>{says}</p>
      <pre>
        <code>{readme}</code>
      </pre>
      <ul class="fates">
        {attempts.map((a) => (
          <li key={a.by} class={`end end-${a.taken ? 'honest' : 'nothing'}`}>
            <span class="fate">
              <EndMark ending={a.taken ? 'honest' : 'nothing'} />
              <span>
                {a.by}: {a.taken ? `taken${a.integrity === undefined ? '' : `, ${a.integrity}`}` : `refused, exit ${a.exitCode}`}
              </span>
            </span>
            {!a.taken && a.stoppedBy !== undefined && <p class="said">{a.stoppedBy}</p>}
          </li>
        ))}
      </ul>
      <Numbers summary="What was printed">
        {attempts.map((a) => (
          <div key={a.by}>
            <h4>{a.by}</h4>
            <pre>
              <code>{a.said === '' ? '(nothing)' : a.said}</code>
            </pre>
          </div>
        ))}
      </Numbers>
    </article>
  );
}

export function SupplyFactsSection({ media }: SectionProps): JSX.Element | null {
  const facts = media.supplyChain?.facts ?? [];
  if (facts.length === 0) return null;
  return (
    <Section
      id="supply-facts"
      title="What is known of the real thing"
      captions={media.captions?.['supply-facts']}
      lead="Not measured here. Beside each statement stands how we know it."
    >
      <ol class="claims sure">
        {facts.map((f) => (
          <li key={f.says} class={`claim sure-${FIRM.has(f.sureness) ? 'firm' : 'weak'}`}>
            <p class="claim-verdict">{f.sureness}</p>
            <div class="claim-text">
              <p class="claim-words">{f.says}</p>
              <p class="small">{f.source}</p>
            </div>
          </li>
        ))}
      </ol>
    </Section>
  );
}

const FIRM: ReadonlySet<SupplyFact['sureness']> = new Set(['read in the source', 'read in a public thread']);
