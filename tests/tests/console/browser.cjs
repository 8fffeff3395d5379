// What the console's tests do in a browser. The Rust side starts the server and says which scenario:
//   node browser.cjs SCENARIO   with BASE, EMAIL, PASSWORD, CHROMIUM, SHOTS and what the scenario wants in the environment
// It ends with 0 if the page was as it should be, and nothing was reported to the browser's console.
"use strict";

const assert = require("node:assert/strict");
const path = require("node:path");
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

const { BASE, EMAIL, PASSWORD, CHROMIUM, SHOTS } = process.env;
const PHONE = { width: 390, height: 844 };
const DESK = { width: 1280, height: 800 };

// Everything that a browser complains about: scripts that fail, policies that are broken, files that are not there.
function watch(page, reports) {
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) reports.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => reports.push(`${page.url()}: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== BASE) reports.push(`asks another host: ${url}`);
  });
}

async function signIn(page, email = EMAIL) {
  await page.goto(`${BASE}/console/sign-in`);
  await page.getByLabel("Mail address").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => !url.pathname.endsWith("/sign-in"));
}

// The demonstration's organization is not the one that everybody signs in to first.
async function enterOrganization(page, name) {
  await page.goto(`${BASE}/console/account`);
  const way = page.getByRole("button", { name: `Switch to ${name}` });
  if ((await way.count()) === 0) return;
  await way.click();
  await page.waitForURL(`${BASE}/console`);
}

async function shoot(page, name) {
  await page.screenshot({ path: path.join(SHOTS, `${name}.png`), fullPage: true });
}

// WCAG 2.2 A and AA, as far as a program can tell. By script source, which the page's policy does not stop.
async function checkBarriers(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((n) => n.html).join("\n  ")}`);
  assert.deepEqual(told, [], `barriers at ${page.url()}`);
}

async function checkWidth(page) {
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(beyond <= 0, `${page.url()} is ${beyond} pixels wider than the screen`);
}

// Every link of a page leads somewhere.
async function checkLinks(page) {
  const links = await page.$$eval("a[href]", (all) => all.map((link) => link.getAttribute("href")));
  for (const link of new Set(links)) {
    if (link.startsWith("#")) {
      assert.ok(await page.$(link), `${page.url()} has no ${link}`);
      continue;
    }
    const response = await page.request.get(new URL(link, page.url()).href);
    assert.equal(response.status(), 200, `${link} of ${page.url()}`);
  }
}

const ORGANIZATION = "Harbour Coffee Roasters";
const PLACES = JSON.parse(process.env.PLACES ?? "[]");

const scenarios = {
  // Each page in light and dark, wide and narrow, looked at for barriers.
  async pages({ newPage }) {
    for (const [theme, size, where] of [
      ["light", DESK, "desk"],
      ["dark", DESK, "desk-dark"],
      ["dark", PHONE, "phone-dark"],
      ["light", PHONE, "phone"],
    ]) {
      const page = await newPage({ colorScheme: theme, viewport: size });
      await page.goto(`${BASE}/console`);
      await checkBarriers(page);
      await shoot(page, `sign-in-${where}`);
      await signIn(page);
      await enterOrganization(page, ORGANIZATION);
      for (const { path: where_to, name, heading } of PLACES) {
        const response = await page.goto(BASE + where_to);
        assert.equal(response.status(), 200, where_to);
        assert.equal(await page.locator("h1").innerText(), heading ?? (await page.locator("h1").innerText()));
        assert.equal(await page.locator("html").getAttribute("lang"), "en");
        await checkWidth(page);
        await checkBarriers(page);
        if (size === DESK && theme === "light") await checkLinks(page);
        await shoot(page, `${name}-${where}`);
      }
      await page.context().close();
    }
  },

  // No mouse: Tab, Enter, and what has the focus is always seen.
  async keyboard({ newPage }) {
    const page = await newPage();
    await page.goto(`${BASE}/console/people`);
    const focused = () =>
      page.evaluate(() => {
        const { id, textContent, tagName } = document.activeElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
        return { id, text: textContent.trim(), tag: tagName, ring: `${outlineWidth} ${outlineStyle}` };
      });
    assert.equal((await focused()).id, "email", "what is typed first has the focus");
    await page.keyboard.type(EMAIL);
    await page.keyboard.press("Tab");
    assert.equal((await focused()).id, "password");
    assert.match((await focused()).ring, /^[23]px solid/, "the focus is seen");
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press("Enter");
    await page.waitForURL(`${BASE}/console/people`);
    await page.keyboard.press("Tab");
    assert.equal((await focused()).text, "Skip to the content");
    await page.keyboard.press("Enter");
    assert.equal((await focused()).id, "content", "the navigation is skipped");
    for (let tabs = 0; tabs < 40; tabs += 1) {
      await page.keyboard.press("Tab");
      const { tag, ring, text } = await focused();
      if (tag === "BODY") break;
      assert.match(ring, /^[23]px solid/, `the focus on ${tag} ${text} is seen`);
    }
  },

  // A wrong password is told, and what was typed is kept.
  async refused({ newPage, expect }) {
    const page = await newPage();
    await page.goto(`${BASE}/console`);
    await page.getByLabel("Mail address").fill(EMAIL);
    await page.getByLabel("Password").fill("not the password");
    expect(/401/);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").waitFor();
    assert.equal(await page.getByLabel("Mail address").inputValue(), EMAIL);
    assert.equal(await page.getByLabel("Password").inputValue(), "");
    await checkBarriers(page);
  },

  // The colours are chosen and kept, without a script.
  async theme({ newPage }) {
    const page = await newPage({ colorScheme: "light", javaScriptEnabled: false });
    await signIn(page);
    const paper = () => page.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor);
    const light = await paper();
    await page.goto(`${BASE}/console/posts?view=month`);
    await page.getByRole("button", { name: "Dark" }).click();
    await page.waitForURL(`${BASE}/console/posts?view=month`);
    assert.notEqual(await paper(), light);
    assert.equal(await page.getByRole("button", { name: "Dark" }).getAttribute("aria-pressed"), "true");
    await page.goto(`${BASE}/console`);
    assert.notEqual(await paper(), light, "kept for the next page");
  },

  // Neither a link nor an address leads a viewer to what is not theirs.
  async viewer({ newPage, expect }) {
    const page = await newPage();
    await signIn(page);
    await enterOrganization(page, ORGANIZATION);
    const names = await page.locator(".side nav a").allInnerTexts();
    assert.deepEqual(names, ["Overview", "Calendar", "Figures", "People"]);
    assert.equal(await page.locator("#installation").count(), 0, "no figures of the installation");
    expect(/403/);
    for (const address of JSON.parse(process.env.FORBIDDEN)) {
      const response = await page.goto(BASE + address);
      assert.equal(response.status(), 403, address);
      assert.equal(await page.locator("h1").innerText(), "This is not yours to see");
      await checkBarriers(page);
    }
    await page.goto(`${BASE}/console/people`);
    assert.equal(await page.getByRole("button", { name: /Change|Remove|Invite/ }).count(), 0);
  },

  // Invite, change a role, make a key and see it once.
  async people({ newPage }) {
    const page = await newPage();
    page.on("dialog", (dialog) => dialog.accept());
    await signIn(page);
    await enterOrganization(page, ORGANIZATION);
    await page.goto(`${BASE}/console/people`);
    await page.getByLabel("Mail address").fill("new.person@example.org");
    await page.getByLabel("Role", { exact: true }).selectOption("viewer");
    await page.getByRole("button", { name: "Invite" }).click();
    assert.match(await page.locator("#invitation-link").innerText(), /#token=/);
    await checkBarriers(page);
    const invitation = page.getByRole("row", { name: /new\.person@example\.org/ });
    await invitation.getByRole("button", { name: /Take back/ }).click();
    await page.getByText("The invitation is taken back.").waitFor();
    assert.equal(await page.getByRole("row", { name: /new\.person@example\.org/ }).count(), 0);

    const chloe = page.getByRole("row", { name: /Chloe Lind/ });
    await chloe.getByRole("combobox").selectOption("admin");
    await chloe.getByRole("button", { name: "Change" }).click();
    await page.getByText("The role is now admin, from this moment on.").waitFor();
    assert.match(await page.getByRole("row", { name: /Chloe Lind/ }).locator(".pill").innerText(), /admin/);

    await page.goto(`${BASE}/console/keys`);
    await page.getByLabel("Name").fill("Shop till");
    await page.getByLabel("post", { exact: true }).check();
    await page.getByRole("button", { name: "Make the key" }).click();
    const key = await page.locator("#new-key").innerText();
    assert.match(key, /^ak_/);
    const answer = await page.request.get(`${BASE}/api/v1/posts`, { headers: { Authorization: `Bearer ${key}` } });
    assert.equal(answer.status(), 200, "the key opens the API");
    await page.goto(`${BASE}/console/keys`);
    assert.equal((await page.content()).includes(key), false, "it is shown once");
    await page.getByRole("row", { name: /Shop till/ }).getByRole("button", { name: /Revoke/ }).click();
    await page.getByText("The key is revoked.").waitFor();
    const after = await page.request.get(`${BASE}/api/v1/posts`, { headers: { Authorization: `Bearer ${key}` } });
    assert.equal(after.status(), 401, "and then no more");
  },

  // From the bell to the list, one read, all read, a wish kept: by keyboard alone, on a phone.
  async notifications({ newPage }) {
    const page = await newPage({ viewport: PHONE });
    await signIn(page);
    await enterOrganization(page, ORGANIZATION);
    const bell = page.getByRole("link", { name: /^Notifications, / });
    const unread = async () => {
      const [, number] = (await bell.getAttribute("aria-label")).match(/^Notifications, (none|\d+) unread$/);
      return number === "none" ? 0 : Number(number);
    };
    const press = async (button) => {
      await button.focus();
      await page.keyboard.press("Enter");
    };
    const before = await unread();
    assert.ok(before >= 2, `${before} are unread: people joined`);
    await press(bell);
    await page.waitForURL(/\/console\/notifications$/);
    assert.equal(await page.locator("h1").innerText(), "Notifications");
    await checkBarriers(page);
    await checkWidth(page);
    await press(page.getByRole("button", { name: /^Mark as read: .* joined$/ }).first());
    await page.getByText("Marked as read.").waitFor();
    assert.equal(await unread(), before - 1);
    await press(page.getByRole("button", { name: /^Mark as unread: / }).first());
    await page.getByText("Marked as unread.").waitFor();
    assert.equal(await unread(), before);
    await press(page.getByRole("button", { name: "Mark all as read" }));
    await page.getByText("All that stood here is read.").waitFor();
    assert.equal(await unread(), 0);
    await press(page.getByRole("link", { name: "Show unread only" }));
    await page.getByText("You have read everything").waitFor();
    await checkBarriers(page);
    const wish = () => page.getByRole("checkbox", { name: "A post is published, in the app" });
    assert.equal(await wish().isChecked(), false);
    await wish().focus();
    await page.keyboard.press("Space");
    await press(page.getByRole("button", { name: "Keep these wishes" }));
    await page.getByText("Your wishes are kept.").waitFor();
    assert.equal(await wish().isChecked(), true);
    assert.equal(await page.getByRole("checkbox", { name: "A post is not published, by mail" }).isChecked(), true);
    await shoot(page, "notifications-kept");
  },

  // Search, an event with what it came of and its proof, its aggregate through time.
  async history({ newPage, expect }) {
    const page = await newPage();
    await signIn(page);
    await enterOrganization(page, ORGANIZATION);
    await page.goto(`${BASE}/console/events`);
    await page.getByLabel("Type, or its beginning").fill("publishing.post.scheduled");
    await page.getByRole("button", { name: "Search" }).click();
    const types = await page.locator("main tbody td:nth-child(3) .quiet").allInnerTexts();
    assert.ok(types.length >= 9, `${types.length} posts were scheduled`);
    assert.deepEqual([...new Set(types)], ["publishing.post.scheduled"]);

    // The post about the cupping was changed: its history has an older text.
    await page.goto(`${BASE}/console/posts?on=${process.env.NEXT_WEEK}`);
    await page.getByRole("link", { name: /It is full/ }).first().click();
    const id = new URL(page.url()).pathname.split("/").pop();
    await page.goto(`${BASE}/console/streams/publishing.post/${id}`);
    const state = () => page.locator("#state pre").innerText();
    assert.match(await state(), /It is full/);
    const last = Number(await page.locator("#version").getAttribute("max"));
    assert.ok(last >= 3, "it was written, scheduled and changed");
    await checkBarriers(page);
    // With the keyboard, as a slider is moved: the page shows the state then.
    await page.locator("#version").focus();
    await page.keyboard.press("Home");
    await page.waitForURL(/version=0/);
    await page.getByText("It was not there yet").waitFor();
    await page.locator("#version").focus();
    await page.keyboard.press("ArrowRight");
    await page.waitForURL(/version=1/);
    assert.match(await state(), /Three chairs are left/, "the older text");
    assert.doesNotMatch(await state(), /It is full/);
    await shoot(page, "stream-older");
    await page.goto(`${BASE}/console/streams/publishing.post/${id}?version=${last}&since=1`);
    const changed = await page.locator("#changes tbody tr").filter({ hasText: "It is full" });
    assert.match(await changed.first().innerText(), /Three chairs are left/, "before and after");
    await shoot(page, "stream");

    await page.locator("main tbody tr td:first-child a").first().click();
    await page.getByRole("heading", { name: /^Event / }).waitFor();
    assert.equal(await page.locator(".tree a[aria-current]").count(), 1, "it stands in its tree");
    await checkBarriers(page);
    await shoot(page, "event");
    expect(/400/);
    await page.goto(`${BASE}/console/events?from=soon`);
    await page.getByRole("alert").getByText("from").waitFor();
  },

  // What was signed, and that an event is in it.
  async audit({ newPage }) {
    const page = await newPage();
    await signIn(page);
    await page.goto(`${BASE}/console/audit`);
    await page.getByRole("button", { name: "Sign a checkpoint now" }).click();
    await page.getByText(/A checkpoint of [\d,]+ events is signed/).waitFor();
    await page.getByLabel("Position in the log").fill("7");
    await page.getByRole("button", { name: "Verify" }).click();
    await page.getByText("This event is as it was recorded.").waitFor();
    assert.deepEqual(await page.locator("#proof .pill").allInnerTexts(), ["holds", "holds", "holds"]);
    await checkBarriers(page);
    await shoot(page, "proof");
  },

  // The button is pressed, the bar is seen on its way, and the new generation takes over.
  async rebuild({ newPage }) {
    const page = await newPage();
    page.on("dialog", (dialog) => dialog.accept());
    await signIn(page);
    await page.goto(`${BASE}/console/projections`);
    await page.getByRole("link", { name: "activity", exact: true }).click();
    const generation = () => page.locator(".facts dd").nth(1).innerText();
    const before = Number(await generation());
    await page.locator("#rebuild-reason").fill("a look at how it is done");
    await page.locator("#rebuild-pace").fill("8");
    await page.getByRole("button", { name: "Rebuild" }).click();
    await page.getByText("It is being built again").waitFor();
    const bar = page.getByRole("progressbar", { name: "Rebuild of activity" });
    await bar.waitFor();
    await page.locator("#guide-reason").fill("to look at it");
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("The build is paused.").waitFor();
    await checkBarriers(page);
    const paused = Number(await bar.getAttribute("value"));
    assert.ok(paused < 100, "it is on its way");
    await shoot(page, "rebuild");
    await page.locator("#guide-reason").fill("it was looked at");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByText("The build goes on.").waitFor();
    // The page follows by itself: the bar moves, then is gone, and readers have the new generation.
    await page.waitForFunction((was) => Number(document.querySelector("progress")?.value ?? 101) > was, paused);
    await bar.waitFor({ state: "detached", timeout: 120000 });
    await page.waitForFunction((was) => Number(document.querySelectorAll(".facts dd")[1].textContent) > was, before);
    await page.getByRole("button", { name: "Rebuild" }).waitFor();
    await shoot(page, "rebuilt");
  },

  // An organization is searched for, gets a smaller tier, and what is more than it has stands there.
  async tiers({ newPage }) {
    const page = await newPage();
    await signIn(page);
    await page.goto(`${BASE}/console/organizations`);
    const rows = page.locator("#organizations tbody tr");
    const all = await rows.count();
    assert.ok(all >= 2, `${all} organizations`);
    await page.getByLabel("Name or id").fill(ORGANIZATION.toLowerCase());
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/q=/);
    assert.equal(await rows.count(), 1);
    assert.match(await rows.first().innerText(), /ultimate[\s\S]*the default/i);
    await rows.first().getByText("Set tier").click();
    await rows.first().getByLabel("Tier").selectOption("free");
    await rows.first().getByLabel("Why").fill("to look at it");
    await rows.first().getByRole("button", { name: "Set the tier" }).click();
    await page.getByText("The tier is now free, from this moment on.").waitFor();
    await page.getByLabel("Tier", { exact: true }).first().selectOption("free");
    await page.getByRole("button", { name: "Search" }).click();
    await page.waitForURL(/tier=free/);
    assert.equal(await rows.count(), 1);
    const text = await rows.first().innerText();
    assert.match(text, /\d+ of 3/, "channels");
    assert.match(text, /full/i, "it has more than the tier");
    assert.match(text, /to look at it/);
    await checkBarriers(page);
    await shoot(page, "tiers");
  },

  // A session that is ended elsewhere ends here: the live page itself leads to the sign-in.
  async ended({ newPage }) {
    const page = await newPage();
    await signIn(page);
    const other = await newPage();
    await signIn(other);
    await other.goto(`${BASE}/console/account`);
    other.on("dialog", (dialog) => dialog.accept());
    await other.getByRole("button", { name: "End all others" }).click();
    await other.getByText("All your other sessions have ended.").waitFor();
    await page.waitForURL(/sign-in/, { timeout: 20000 });
    await page.getByText("Your session has ended").waitFor();
    await other.getByRole("button", { name: "Sign out" }).click();
    await other.getByText("You are signed out.").waitFor();
    await other.goto(`${BASE}/console/people`);
    await other.waitForURL(/sign-in\?next=/);
  },
};

async function main() {
  const [scenario] = process.argv.slice(2);
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
  const reports = [];
  const expected = [];
  const newPage = async (options = {}) => {
    const context = await browser.newContext({ viewport: DESK, locale: "en-GB", ...options });
    context.setDefaultTimeout(20000);
    const page = await context.newPage();
    watch(page, reports);
    return page;
  };
  try {
    await scenarios[scenario]({ newPage, expect: (words) => expected.push(words) });
    const unexpected = reports.filter((report) => !expected.some((words) => words.test(report)));
    assert.deepEqual(unexpected, [], "the browser's console is empty");
  } catch (error) {
    const pages = browser.contexts().flatMap((context) => context.pages());
    await Promise.all(pages.map((page, i) => shoot(page, `failed-${scenario}-${i}`).catch(() => {})));
    throw error;
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
