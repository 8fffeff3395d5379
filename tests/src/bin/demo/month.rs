//! What the roasters say in the four weeks from next Monday.

/// A post of the month.
pub(crate) struct Planned {
    /// After the first Monday.
    pub(crate) days: i64,
    /// In Lisbon.
    pub(crate) time: &'static str,
    /// Which channels, by their numbers.
    pub(crate) places: &'static [usize],
    pub(crate) tag: &'static str,
    /// The number of a picture, if it shows one.
    pub(crate) picture: Option<usize>,
    pub(crate) content: &'static str,
    /// What follows it.
    pub(crate) thread: &'static [&'static str],
}

const fn says(
    days: i64,
    time: &'static str,
    places: &'static [usize],
    tag: &'static str,
    content: &'static str,
) -> Planned {
    Planned { days, time, places, tag, picture: None, content, thread: &[] }
}

impl Planned {
    const fn shows(self, picture: usize) -> Self {
        Self { picture: Some(picture), ..self }
    }

    const fn goes_on(self, thread: &'static [&'static str]) -> Self {
        Self { thread, ..self }
    }
}

/// The first nine are the week that the story is about.
pub(crate) const MONTH: [Planned; 28] = [
    says(
        0,
        "08:00",
        &[0, 1],
        "offers",
        "Monday's roast is a natural from Sidama: apricot, jasmine, a long sweet finish. 20% off until noon.",
    )
    .shows(0),
    says(
        0,
        "17:30",
        &[2],
        "hiring",
        "We are looking for a second roaster. Mornings, one weekend a month, and all the coffee you can taste.",
    ),
    says(
        1,
        "09:15",
        &[0],
        "guides",
        "How fine is fine? Start at the setting that gives 28 seconds for a double, then trust your tongue.",
    )
    .goes_on(&[
        "Sour and thin? Go finer. The water ran through before it could take anything along.",
        "Bitter and dry? Go coarser, or shorten the shot by two seconds, but change one thing at a time.",
    ]),
    says(
        2,
        "08:00",
        &[0, 1, 2],
        "offers",
        "Half-way through the week: buy a bag, bring back your tin, we fill it at cost.",
    ),
    says(
        2,
        "12:00",
        &[1],
        "events",
        "Cupping on Thursday at six. Twelve chairs, four farms, no spoons of your own needed.",
    )
    .shows(1),
    says(3, "16:00", &[0, 1], "events", "Tonight at six: the cupping. Three chairs are left."),
    says(
        4,
        "10:30",
        &[2],
        "guides",
        "Water is 98% of your cup. Ours is soft; if yours is not, a filter jug is the cheapest upgrade there is.",
    ),
    says(5, "11:00", &[0], "offers", "Saturday bundles are out: two bags and a filter pack.").shows(5),
    says(
        6,
        "18:00",
        &[0, 1, 2],
        "news",
        "Next week: a new lot from Huila, and the repaired espresso machine is back at the bar.",
    ),
    says(
        7,
        "08:00",
        &[0, 1],
        "offers",
        "The Huila is here: plum, cocoa, a hint of lime. First ten bags come with a cup.",
    )
    .shows(4),
    says(
        8,
        "09:15",
        &[0],
        "guides",
        "Bloom first: twice the coffee's weight in water, thirty seconds, then pour on.",
    ),
    says(
        8,
        "17:00",
        &[2],
        "news",
        "Rui repaired the espresso machine with a part from a sewing machine. It hums now.",
    ),
    says(9, "12:00", &[1], "events", "Next tasting: milk drinks, next Thursday. Oat people are welcome.")
        .shows(2),
    says(10, "16:00", &[0], "offers", "Thursday afternoon is quiet: the second cup is ours."),
    says(
        11,
        "10:30",
        &[2],
        "guides",
        "Beans don't belong in the fridge. A dark tin, a cool shelf, three weeks.",
    )
    .goes_on(&["And the freezer? Yes, if they are airtight and portioned. Grind them frozen."]),
    says(
        12,
        "11:00",
        &[0, 1],
        "offers",
        "Weekend bundle: the Huila, the Sidama, and a bag of our house roast.",
    )
    .shows(5),
    says(13, "18:00", &[2], "news", "Sunday at the harbour. We close at four and watch the boats come in.")
        .shows(3),
    says(
        14,
        "08:00",
        &[0, 1, 2],
        "news",
        "Halfway through the month: 412 bags, one broken mug, no complaints.",
    ),
    says(
        15,
        "09:15",
        &[0],
        "guides",
        "Cold brew is patience: 80 grams, a litre of cold water, fourteen hours.",
    ),
    says(16, "12:00", &[1], "events", "Tomorrow at six: milk drinks. Five chairs are left."),
    says(17, "16:00", &[1], "events", "Tonight at six: milk drinks, and a word about foam.").shows(2),
    says(
        18,
        "10:30",
        &[2],
        "guides",
        "Descale before it complains: citric acid, once a month, twice rinsed.",
    ),
    says(
        19,
        "11:00",
        &[0],
        "offers",
        "Three bags for the price of two and a half. We did the sums, they hurt a little.",
    ),
    says(
        21,
        "08:00",
        &[0, 1],
        "offers",
        "The last of the Sidama. When it is gone, it is gone until the next harvest.",
    )
    .shows(0),
    says(
        22,
        "09:15",
        &[0],
        "guides",
        "Taste with your mouth open. It looks odd; it is how the fruit gets in.",
    ),
    says(
        23,
        "12:00",
        &[1, 2],
        "events",
        "An evening with Marta, who grows the Huila: next Friday, seats by mail.",
    )
    .shows(4),
    says(
        25,
        "10:30",
        &[2],
        "hiring",
        "The second roaster is found. Welcome, Inês! She starts with the early shift.",
    ),
    says(27, "18:00", &[0, 1, 2], "news", "That was our month. Thank you for every cup.")
        .shows(3)
        .goes_on(&["Next month: the Christmas roast, and longer evenings at the bar."]),
];
