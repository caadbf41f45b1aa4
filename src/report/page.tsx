/** The page: head line, tiles, contents, the story in order, provenance. */
import type { JSX } from 'preact';
import { cellFormat, integer, list, seedWords, sentence } from './format.ts';
import type { Verdict } from './media.ts';
import { pageCss } from './page-css.ts';
import type { Anchor } from './parts.tsx';
import { ClaimsSection, SubstitutesSection } from './sections/claims.tsx';
import type { SectionProps } from './sections/context.ts';
import { DataSection } from './sections/data.tsx';
import { ControlSection, DefencesSection } from './sections/defences.tsx';
import { FractionSection, PerClassSection } from './sections/errors.tsx';
import { ChartGroupSections, chartGroups, chartsOf } from './sections/line-figures.tsx';
import { MovementSection } from './sections/movement.tsx';
import { FiltersSection, NeuronsSection } from './sections/neurons.tsx';
import { OtherSection, otherTables, ProvenanceSection } from './sections/provenance.tsx';
import { PruningSection, pruningTables } from './sections/pruning.tsx';
import { hasStudy, RelearningSection, StrengthSection, TransferSection, VariantsSection } from './sections/studies.tsx';
import { SupplyChainSection } from './sections/supply-chain.tsx';
import { SupplyFactsSection, SupplyPracticesSection, SupplyReadmesSection } from './sections/supply-words.tsx';
import { TABLE_ONE, TableOneSection } from './sections/table-one.tsx';
import { TrainingSection } from './sections/training.tsx';
import { supplyChainCss } from './supply-chain-css.ts';
import { findTable } from './tables.ts';
import { chartCss, themeCss } from './theme.ts';
import { headlineOf, verdictsOf } from './verdicts.ts';

interface Chapter {
  readonly id: Anchor;
  readonly link: string;
  readonly present: boolean;
}

/** The sections this run has something for, in order. */
function chaptersOf(props: SectionProps): Chapter[] {
  const { result, media } = props;
  const table = (name: string): boolean => findTable(result, name) !== undefined;
  const some = (items: readonly unknown[] | undefined): boolean => items !== undefined && items.length > 0;
  return [
    { id: 'claims', link: 'What holds', present: some(media.claims) },
    { id: 'substitutes', link: 'Substitutes', present: some(media.substitutes) },
    { id: 'supply-chain', link: 'Who ends up with what', present: media.supplyChain !== undefined },
    { id: 'supply-practices', link: 'Practices', present: some(media.supplyChain?.practices) },
    { id: 'supply-readmes', link: 'Pages and hashes', present: some(media.supplyChain?.readmes) },
    { id: 'supply-facts', link: 'The real thing', present: some(media.supplyChain?.facts) },
    { id: 'table-1', link: 'Table 1', present: table(TABLE_ONE) },
    { id: 'data', link: 'Data and trigger', present: some(media.data) || some(media.triggers) },
    { id: 'per-class', link: 'Errors by class', present: table('per-class error') },
    { id: 'fraction', link: 'How much poison', present: table('poison fraction') },
    { id: 'filters', link: 'Filters', present: some(media.filters) },
    { id: 'neurons', link: 'Backdoor neurons', present: some(media.activations) || some(media.maps) },
    { id: 'pruning', link: 'Pruning', present: some(pruningTables(result)) || some(chartsOf(media, 'pruning')) },
    { id: 'defences', link: 'Defences', present: table('defences') },
    { id: 'variants', link: 'Variants', present: hasStudy(result, media, 'variants') },
    { id: 'control', link: 'Control', present: table('clean-model control') },
    { id: 're-learning', link: 'Re-learning', present: hasStudy(result, media, 're-learning') },
    { id: 'transfer', link: 'Transfer', present: hasStudy(result, media, 'transfer') },
    { id: 'strength', link: 'Strength', present: hasStudy(result, media, 'strength') },
    ...chartGroups(props).map((g) => ({ id: g.id, link: sentence(g.title), present: true })),
    { id: 'movement', link: 'Weights', present: table('weight movement') },
    { id: 'training', link: 'Training', present: media.histories?.some((h) => h.points.length > 0) ?? false },
    { id: 'other', link: 'More tables', present: otherTables(props).length > 0 },
    { id: 'provenance', link: 'Provenance', present: true },
  ];
}

/** What the page is called where the recipe does not say. */
export function titleOf({ result, media }: SectionProps): string {
  return media.title ?? `Backdoors in a neural network: ${result.recipe}`;
}

export function Page(props: SectionProps): JSX.Element {
  const { result, media } = props;
  const title = titleOf(props);
  const seeds = result.provenance.seeds;
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{title}</title>
        <style
          dangerouslySetInnerHTML={{ __html: themeCss() + chartCss + pageCss + (media.supplyChain === undefined ? '' : supplyChainCss) }}
        />
      </head>
      <body>
        <a class="skip" href="#story">
          To the results
        </a>
        <div class="page">
          <header>
            <p class="eyebrow">Secateur · recipe {result.recipe}</p>
            <h1>{title}</h1>
            <p class="headline">{headlineOf(result, media)}</p>
            {seeds.length > 0 && (
              <p class="runline">
                {seeds.length > 1
                  ? `${seeds.length} seeds (${list(seeds.map(String))}); values are means over them, with 95 % intervals.`
                  : `One seed (${seeds[0]}): intervals cover the choice of test images, not the luck of training.`}
              </p>
            )}
            {media.substitutes && media.substitutes.length > 0 && (
              <p class="standins">
                <strong>Not the papers' own data and networks:</strong>{' '}
                <a href="#substitutes">
                  {media.substitutes.length === 1 ? 'one substitute is' : `${media.substitutes.length} substitutes are`} named below
                </a>
                .
              </p>
            )}
            <Tiles verdicts={verdictsOf(result, media)} />
          </header>
          <nav class="contents" aria-label="Contents">
            <ul>
              {chaptersOf(props)
                .filter((c) => c.present)
                .map((c) => (
                  <li key={c.id}>
                    <a href={`#${c.id}`}>{c.link}</a>
                  </li>
                ))}
            </ul>
          </nav>
          <main id="story">
            <ClaimsSection {...props} />
            <SubstitutesSection {...props} />
            <SupplyChainSection {...props} />
            <SupplyPracticesSection {...props} />
            <SupplyReadmesSection {...props} />
            <SupplyFactsSection {...props} />
            <TableOneSection {...props} />
            <DataSection {...props} />
            <PerClassSection {...props} />
            <FractionSection {...props} />
            <FiltersSection {...props} />
            <NeuronsSection {...props} />
            <PruningSection {...props} />
            <DefencesSection {...props} />
            <VariantsSection {...props} />
            <ControlSection {...props} />
            <RelearningSection {...props} />
            <TransferSection {...props} />
            <StrengthSection {...props} />
            <ChartGroupSections {...props} />
            <MovementSection {...props} />
            <TrainingSection {...props} />
            <OtherSection {...props} />
            <ProvenanceSection {...props} />
          </main>
          <footer>
            Written by Secateur. This file is complete: it fetches nothing and needs no scripts. Its numbers are in result.json beside it,
            its pictures in media.json.
          </footer>
        </div>
      </body>
    </html>
  );
}

function Tiles({ verdicts }: { verdicts: readonly Verdict[] }): JSX.Element | null {
  if (verdicts.length === 0) return null;
  return (
    <ul class="tiles" aria-label="Results at a glance">
      {verdicts.map((v) => {
        const format = cellFormat(v.unit, [{ row: '', column: '', ...v }]);
        const interval =
          v.low !== undefined && v.high !== undefined ? `95 %: ${format.value(v.low)} to ${format.value(v.high)}` : undefined;
        const facts = [
          interval,
          v.n !== undefined ? `n = ${integer(v.n)}` : undefined,
          v.seeds !== undefined ? seedWords(v.seeds) : undefined,
        ].filter((f) => f !== undefined);
        return (
          <li key={v.label} class={`tile-card tile-${v.tone}`}>
            <span class="tile-label">{v.label}</span>
            <span class="tile-value">
              {format.value(v.value)}
              {format.suffix && <small> {format.suffix}</small>}
            </span>
            {v.says && <span class="tile-says">{v.says}</span>}
            <span class="tile-facts">
              {facts.join(' · ')}
              {v.paper !== undefined && <span class="paper">paper {format.value(v.paper)}</span>}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
