// What runs in the page: counterexamples that can be walked through, made when they are first seen, the filter, and the copying of commands.
//
// Guarantees: nothing is loaded and nothing stored; without it every table is there.

import { render } from 'preact';
import { Stepper } from './stepper.tsx';
import { type Packed, unpack } from './walk.ts';

const packed = JSON.parse(document.getElementById('walks')?.textContent ?? '{"texts":[],"walks":[]}') as Packed;
const details = [...document.querySelectorAll<HTMLDetailsElement>('details.variant')];

document.documentElement.classList.add('scripted');
for (const variant of details) {
  variant.addEventListener('toggle', () => fill(variant));
  fill(variant);
}
openTarget();
addEventListener('hashchange', openTarget);
// Print what can be seen, all of it.
addEventListener('beforeprint', () => {
  for (const variant of details) fill(variant);
});
startFilter();

/** Draws the counterexamples of a variant that is open. */
function fill(variant: HTMLDetailsElement): void {
  if (!variant.open) return;
  for (const place of variant.querySelectorAll<HTMLElement>('.walk:not(.filled)')) {
    place.classList.add('filled');
    const label = place.parentElement?.querySelector('h5')?.textContent ?? '';
    place.replaceChildren();
    render(<Stepper walk={unpack(packed, Number(place.dataset['walk']))} label={label} />, place);
  }
  for (const token of variant.querySelectorAll<HTMLElement>('.token:not(.filled)')) {
    token.classList.add('filled');
    const command = token.textContent?.trim() ?? '';
    token.append(copier(command));
  }
}

function copier(text: string): HTMLButtonElement {
  const button = Object.assign(document.createElement('button'), { type: 'button', textContent: 'Copy' });
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      // A page from a file may not: it is marked instead.
      const code = button.previousElementSibling;
      if (code !== null) getSelection()?.selectAllChildren(code);
      button.textContent = 'Marked';
    }
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 1500);
  });
  return button;
}

/** The variant that the address names. */
function openTarget(): void {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!(target instanceof HTMLDetailsElement)) return;
  target.open = true;
  target.scrollIntoView();
}

function startFilter(): void {
  const form = document.getElementById('filter') as HTMLFormElement | null;
  if (form === null) return;
  form.hidden = false;
  const text = form.elements.namedItem('text') as HTMLInputElement;
  const only = form.elements.namedItem('surprises') as HTMLInputElement;
  const open = form.elements.namedItem('open') as HTMLButtonElement;
  const output = form.querySelector('output') as HTMLOutputElement;
  const cards = [...document.querySelectorAll<HTMLElement>('.card')].map((card) => ({
    card,
    words: wordsOf(card, ':scope > h3, :scope > .sentence, :scope > .sources'),
    variants: [...card.querySelectorAll<HTMLDetailsElement>('details.variant')].map((variant) => ({
      variant,
      words: wordsOf(variant, ':scope > summary'),
      surprising: variant.querySelector('.surprises') !== null,
    })),
  }));
  const apply = () => {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    let total = 0;
    for (const { card, words, variants } of cards) {
      let any = false;
      for (const { variant, words: own, surprising } of variants) {
        const all = `${words} ${own}`;
        const isShown = wanted.every((word) => all.includes(word)) && (!only.checked || surprising);
        variant.hidden = !isShown;
        any ||= isShown;
        shown += isShown ? 1 : 0;
        total++;
      }
      card.hidden = !any;
    }
    output.value = shown === total ? `${total} variants` : `${shown} of ${total} variants`;
  };
  form.addEventListener('input', apply);
  form.addEventListener('submit', (event) => event.preventDefault());
  open.addEventListener('click', () => {
    const isOpen = open.textContent === 'Open all';
    for (const variant of details) if (!variant.hidden) variant.open = isOpen;
    open.textContent = isOpen ? 'Close all' : 'Open all';
  });
  apply();
}

function wordsOf(element: HTMLElement, selector: string): string {
  return [...element.querySelectorAll(selector)]
    .map((part) => part.textContent ?? '')
    .join(' ')
    .toLowerCase();
}
