// What is wrong with the page as it is looked at now: a list of sentences.
(() => {
  const wrong = [];
  const shown = e => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden';
  const what = e => `<${e.tagName.toLowerCase()}> "${(e.textContent || '').trim().slice(0, 40)}"`;
  // Nothing but what scrolls in its own box is wider than the window.
  if (document.documentElement.scrollWidth > innerWidth)
    wrong.push(`the page is ${document.documentElement.scrollWidth} wide in a window of ${innerWidth}`);
  // Paper does not scroll.
  if (matchMedia('print').matches)
    for (const box of document.querySelectorAll('.scroll'))
      if (box.scrollWidth > box.clientWidth + 1)
        wrong.push(`${box.getAttribute('aria-label')} is ${box.scrollWidth} wide on paper of ${box.clientWidth}`);
  // Names.
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  ids.filter((id, at) => ids.indexOf(id) !== at).forEach(id => wrong.push(`two elements are called ${id}`));
  for (const e of document.querySelectorAll('[aria-labelledby],[aria-describedby]'))
    for (const name of ['aria-labelledby', 'aria-describedby'])
      for (const id of (e.getAttribute(name) || '').split(' ').filter(Boolean))
        if (!document.getElementById(id)?.textContent.trim()) wrong.push(`${name} ${id} says nothing`);
  for (const svg of document.querySelectorAll('figure svg'))
    if (!svg.querySelector('title')?.textContent || !svg.querySelector('desc')?.textContent || svg.getAttribute('role') !== 'img')
      wrong.push('a drawing has no name or no text');
  for (const figure of document.querySelectorAll('figure')) {
    if ([...figure.querySelectorAll('svg')].filter(shown).length !== 1) wrong.push('a figure shows not exactly one drawing');
    if (!figure.querySelector('figcaption')?.textContent.trim()) wrong.push('a figure has no caption');
  }
  for (const table of document.querySelectorAll('table')) {
    if (!table.caption?.textContent.trim()) wrong.push('a table has no caption');
    if ([...table.querySelectorAll('th')].some(th => !th.scope)) wrong.push('a head of a table has no scope');
    const box = table.parentElement;
    if (box.tabIndex !== 0 || !box.getAttribute('aria-label')) wrong.push('a table cannot be scrolled by keyboard');
  }
  // Headings go down one level at a time.
  let level = 0;
  for (const h of document.querySelectorAll('h1,h2,h3,h4')) {
    const of = +h.tagName[1];
    if (of > level + 1) wrong.push(`heading ${what(h)} skips a level`);
    level = of;
  }
  for (const a of document.querySelectorAll('a[href^="#"]'))
    if (!document.getElementById(a.getAttribute('href').slice(1))) wrong.push(`a link leads nowhere: ${a.href}`);
  // Contrast of every text, and of every line that stands for a figure.
  const parse = c => (c.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const page = ground(document.body);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.textContent.trim() || !shown(e) || e.closest('title,desc,style')) continue;
    const style = getComputedStyle(e), svg = e.closest('svg');
    let colour = parse(svg ? style.fill : style.color), behind = ground(e);
    // A number inside a bar or a badge is in the page's colour, on every colour of a bar: checked with those below.
    if (svg && e.getAttribute('fill') === 'var(--ground)') continue;
    const key = colour + '/' + behind;
    if (seen.has(key)) continue;
    seen.add(key);
    const of = ratio(colour, behind);
    if (of < 4.5) wrong.push(`contrast ${of.toFixed(2)} of ${what(e)}`);
  }
  for (const e of document.querySelectorAll('figure svg [fill],figure svg [stroke]'))
    for (const name of ['fill', 'stroke']) {
      const value = e.getAttribute(name);
      if (!value || value === 'none' || ['var(--grid)', 'var(--ground)'].includes(value) || seen.has(value)) continue;
      seen.add(value);
      const of = ratio(parse(getComputedStyle(e)[name]), page);
      if (of < 4.5) wrong.push(`contrast ${of.toFixed(2)} of a line in ${value}`);
    }
  // Letters of a drawing are letters that can be read.
  for (const svg of document.querySelectorAll('figure svg'))
    if (shown(svg)) {
      const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      for (const t of svg.querySelectorAll('text')) {
        const size = parseFloat(t.getAttribute('font-size')) * scale;
        if (size < 10.9 && !matchMedia('print').matches) { wrong.push(`letters of ${size.toFixed(1)} px in ${svg.querySelector('title').textContent}`); break; }
        const box = t.getBBox(), view = svg.viewBox.baseVal;
        if (box.x < -1 || box.x + box.width > view.width + 1 || box.y < -1 || box.y + box.height > view.height + 1)
          wrong.push(`"${t.textContent.trim()}" leaves the drawing ${svg.querySelector('title').textContent}`);
      }
    }
  return wrong;
})()
