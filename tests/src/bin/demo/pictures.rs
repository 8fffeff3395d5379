//! The pictures of the demonstration's media library: a cup from above, in the colours of a day.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 800;

type Colour = [u8; 3];

/// A picture of the library.
pub(crate) struct Picture {
    pub(crate) name: &'static str,
    /// What it shows, for those who can't see it.
    pub(crate) alt: &'static str,
    table: [Colour; 2],
    cup: Colour,
    coffee: Colour,
}

pub(crate) const PICTURES: [Picture; 6] = [
    Picture {
        name: "sidama.png",
        alt: "A white cup of light coffee on an apricot table, from above",
        table: [[250, 204, 148], [234, 138, 82]],
        cup: [255, 252, 246],
        coffee: [142, 84, 44],
    },
    Picture {
        name: "cupping.png",
        alt: "A small blue bowl of dark coffee on a grey table, from above",
        table: [[214, 219, 226], [148, 160, 176]],
        cup: [66, 104, 168],
        coffee: [52, 30, 20],
    },
    Picture {
        name: "morning.png",
        alt: "A yellow cup of coffee with milk in morning light, from above",
        table: [[255, 241, 190], [246, 200, 96]],
        cup: [240, 172, 30],
        coffee: [196, 148, 104],
    },
    Picture {
        name: "harbour-night.png",
        alt: "A pale cup of black coffee on a deep blue table, from above",
        table: [[42, 62, 110], [16, 26, 56]],
        cup: [216, 224, 240],
        coffee: [28, 18, 14],
    },
    Picture {
        name: "huila.png",
        alt: "A green cup of red-brown coffee on a leaf-green table, from above",
        table: [[206, 226, 184], [122, 168, 104]],
        cup: [38, 112, 74],
        coffee: [112, 46, 28],
    },
    Picture {
        name: "bundle.png",
        alt: "A red cup of coffee on a cream table, from above",
        table: [[252, 246, 230], [226, 208, 176]],
        cup: [188, 54, 44],
        coffee: [84, 48, 28],
    },
];

impl Picture {
    /// The picture as PNG.
    pub(crate) fn draw(&self) -> Vec<u8> {
        let image = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb(self.colour(f64::from(x), f64::from(y))));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).expect("memory can be written to");
        bytes.into_inner()
    }

    fn colour(&self, x: f64, y: f64) -> Colour {
        let (width, height) = (f64::from(WIDTH), f64::from(HEIGHT));
        let from_middle = (x - width * 0.47).hypot(y - height * 0.5);
        let from_shadow = (x - width * 0.47 - 26.0).hypot(y - height * 0.5 - 30.0);
        let from_light = (x - width * 0.42).hypot((y - height * 0.4) * 1.4);
        let handle = (x - width * 0.47 - 290.0).hypot(y - height * 0.5);
        let table = mix(self.table[0], self.table[1], (x / width + y / height) / 2.0);
        match () {
            () if from_middle < 196.0 => {
                mix(mix(self.coffee, [255, 255, 255], 0.25), self.coffee, (from_light / 150.0).min(1.0))
            }
            () if from_middle < 240.0 => mix(self.cup, [255, 255, 255], (240.0 - from_middle) / 90.0),
            () if (52.0..88.0).contains(&handle) => mix(self.cup, [0, 0, 0], 0.08),
            () if from_shadow < 252.0 => mix(table, [0, 0, 0], ((252.0 - from_shadow) / 60.0).min(0.22)),
            () => table,
        }
    }
}

/// `part` of the way from one colour to another.
fn mix(from: Colour, to: Colour, part: f64) -> Colour {
    let part = part.clamp(0.0, 1.0);
    std::array::from_fn(|channel| {
        let (from, to) = (f64::from(from[channel]), f64::from(to[channel]));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two bytes")]
        let mixed = (from + (to - from) * part).round() as u8;
        mixed
    })
}
