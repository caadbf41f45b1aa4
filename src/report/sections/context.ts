/** What every section is drawn from. */
import type { Result } from '../../evaluate/result.ts';
import type { ReportMedia } from '../media.ts';

export interface SectionProps {
  readonly result: Result;
  readonly media: ReportMedia;
}
