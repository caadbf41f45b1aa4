/** What holds of what the papers say, in words; and what stands in for what the papers used. */
import type { JSX } from 'preact';
import { list } from '../format.ts';
import type { Claim, ClaimVerdict } from '../media.ts';
import { Section } from '../parts.tsx';
import type { SectionProps } from './context.ts';

const ORDER: readonly ClaimVerdict[] = ['holds', 'holds in part', 'does not hold', 'not tested'];

export function ClaimsSection({ media }: SectionProps): JSX.Element | null {
  const { claims = [], captions } = media;
  if (claims.length === 0) return null;
  const [told, own] = [claims.filter((c) => !c.own), claims.filter((c) => c.own)];
  return (
    <Section
      id="claims"
      title="What holds"
      captions={captions?.claims}
      lead={
        told.length > 0 &&
        `What the papers and the lecture say, one statement after another, and what these data say of it. ${countWords(told)}`
      }
    >
      {told.length > 0 && <ClaimList claims={told} />}
      {own.length > 0 && (
        <>
          <h3>{OWN_TITLE}</h3>
          <p class="lead">What no paper says and we have looked at besides. It is not counted among the claims.</p>
          <ClaimList claims={own} />
        </>
      )}
    </Section>
  );
}

const OWN_TITLE = 'Our own controls';

function ClaimList({ claims }: { claims: readonly Claim[] }): JSX.Element {
  return (
    <ol class="claims">
      {claims.map((c) => (
        <li key={c.claim} class={`claim claim-${slug(c.verdict)}`}>
          <p class="claim-verdict">
            <Mark verdict={c.verdict} />
            {c.verdict}
          </p>
          <div class="claim-text">
            <p class="claim-words">{c.claim}</p>
            <p class="claim-says">{c.says}</p>
            {c.parts && c.parts.length > 0 && (
              <ul class="claim-parts" aria-label="Network by network">
                {c.parts.map((p) => (
                  <li key={p.name} class={`claim-${slug(p.verdict)}`}>
                    <Mark verdict={p.verdict} />
                    {p.name}: <span class="claim-part-verdict">{p.verdict}</span>
                  </li>
                ))}
              </ul>
            )}
            <p class="small">{c.source}</p>
          </div>
        </li>
      ))}
    </ol>
  );
}

export function SubstitutesSection({ media }: SectionProps): JSX.Element | null {
  const { substitutes = [], captions } = media;
  if (substitutes.length === 0) return null;
  return (
    <Section id="substitutes" title="Not what the papers used" captions={captions?.substitutes}>
      <div class="substitutes">
        <p>
          <strong>
            {substitutes.length === 1 ? 'One thing here stands in' : `${substitutes.length} things here stand in`} for what the papers used.
          </strong>{' '}
          Read this before you compare numbers:
        </p>
        <ul>
          {substitutes.map((text) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      </div>
    </Section>
  );
}

/** `Of 9 claims 5 hold, 2 hold in part, 1 does not hold and 1 was not tested.` Our own controls are no claims; empty where there is nothing else. */
export function countWords(all: readonly Claim[]): string {
  const claims = all.filter((c) => !c.own);
  if (claims.length === 0) return '';
  const counted = ORDER.flatMap((verdict) => {
    const n = claims.filter((c) => c.verdict === verdict).length;
    return n === 0 ? [] : [`${n} ${verbOf(verdict, n)}`];
  });
  return claims.length === 1 ? `The one claim ${verbOf(claims[0].verdict, 1)}.` : `Of ${claims.length} claims ${list(counted)}.`;
}

function verbOf(verdict: ClaimVerdict, n: number): string {
  switch (verdict) {
    case 'holds':
      return n === 1 ? 'holds' : 'hold';
    case 'holds in part':
      return n === 1 ? 'holds in part' : 'hold in part';
    case 'does not hold':
      return n === 1 ? 'does not hold' : 'do not hold';
    case 'not tested':
      return n === 1 ? 'was not tested' : 'were not tested';
  }
}

const slug = (verdict: ClaimVerdict): string => verdict.replaceAll(' ', '-');

/** A full disc with a tick, a half disc, a ring with a cross, a dashed ring: told apart without colour; the word stands beside. */
function Mark({ verdict }: { verdict: ClaimVerdict }): JSX.Element {
  return (
    <svg class="mark" viewBox="0 0 20 20" aria-hidden="true">
      {verdict === 'holds' && (
        <>
          <circle class="mark-full" cx="10" cy="10" r="9" />
          <path class="mark-cut" d="M5.5,10.5l3,3l6,-6.5" />
        </>
      )}
      {verdict === 'holds in part' && (
        <>
          <circle class="mark-line" cx="10" cy="10" r="8" />
          <path class="mark-full" d="M10,2a8,8 0 0 0 0,16z" />
        </>
      )}
      {verdict === 'does not hold' && (
        <>
          <circle class="mark-line" cx="10" cy="10" r="8" />
          <path class="mark-line" d="M6.8,6.8l6.4,6.4M13.2,6.8l-6.4,6.4" />
        </>
      )}
      {verdict === 'not tested' && <circle class="mark-line mark-dashed" cx="10" cy="10" r="8" />}
    </svg>
  );
}
