// Executions per second over the time of a race, as a line for each build, with its numbers as a table.

import { scaleLinear } from 'd3-scale';
import { count } from '../words.ts';
import type { RaceModel } from './model.ts';

/** In units of the picture, which is as wide as its place. */
const WIDTH = 460;
const HEIGHT = 160;
const LEFT = 54;
const BOTTOM = 26;
const TOP = 10;
const RIGHT = 10;
const ROWS = 10;

/** A rate in few letters: `1.2 M`. */
export function short(n: number): string {
  if (n >= 1e9) return `${Number((n / 1e9).toPrecision(3))} G`;
  if (n >= 1e6) return `${Number((n / 1e6).toPrecision(3))} M`;
  if (n >= 1e3) return `${Number((n / 1e3).toPrecision(3))} k`;
  return String(Math.round(n));
}

export function Throughput({ races }: { readonly races: readonly RaceModel[] }) {
  const drawn = races.filter(({ samples }) => samples.length >= 2);
  if (drawn.length === 0) return null;
  const points = drawn.flatMap(({ samples }) => samples);
  const x = scaleLinear([0, Math.max(...points.map(([second]) => second))], [LEFT, WIDTH - RIGHT]);
  const y = scaleLinear([0, Math.max(1, ...points.map(([, rate]) => rate))], [HEIGHT - BOTTOM, TOP]).nice(3);
  const at = (n: number) => Math.round(n * 10) / 10;
  const names = drawn.map(({ build, perSecond }) => `${build} ${short(perSecond)} a second`).join(', ');
  return (
    <figure class="chart">
      <figcaption>
        Executions per second over time
        {drawn.map(({ build }, n) => (
          <span key={build} class={`key line${n}`}>
            <svg width="22" height="8" aria-hidden="true">
              <line class="curve" x1="0" y1="4" x2="22" y2="4" />
            </svg>
            {build}
          </span>
        ))}
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`Throughput: on average ${names}`}>
        {y.ticks(3).map((tick) => (
          <g key={tick}>
            <line class="grid" x1={LEFT} x2={WIDTH - RIGHT} y1={at(y(tick))} y2={at(y(tick))} />
            <text class="tick end" x={LEFT - 6} y={at(y(tick)) + 3.5}>
              {short(tick)}
            </text>
          </g>
        ))}
        {x.ticks(4).map((tick) => (
          <text key={tick} class="tick middle" x={at(x(tick))} y={HEIGHT - 6}>
            {`${tick} s`}
          </text>
        ))}
        {drawn.map(({ build, samples }, n) => (
          <polyline
            key={build}
            class={`curve line${n}`}
            points={samples.map(([second, rate]) => `${at(x(second))},${at(y(rate))}`).join(' ')}
          />
        ))}
      </svg>
      <details class="numbers">
        <summary>As a table</summary>
        <div class="columns">
          {drawn.map(({ build, samples }) => (
            <table key={build}>
              <caption>{build}</caption>
              <thead>
                <tr>
                  <th scope="col">second</th>
                  <th scope="col" class="number">
                    per second
                  </th>
                </tr>
              </thead>
              <tbody>
                {sparse(samples).map(([second, rate]) => (
                  <tr key={second}>
                    <th scope="row">{second.toFixed(2)}</th>
                    <td class="number">{count(Math.round(rate))}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          ))}
        </div>
      </details>
    </figure>
  );
}

/** Some of them, the last one too. */
function sparse<T>(samples: readonly T[]): readonly T[] {
  const step = Math.ceil(samples.length / ROWS);
  return samples.filter((_, n) => (samples.length - 1 - n) % step === 0);
}
