// The units: exact factors to the base unit of their dimension (SI brochure, NIST
// SP 811). One row is "symbol factor [offset]: other names"; value in base units =
// value * factor + offset.

export class Unit {
  constructor(
    public dimension: string,
    public symbol: string,
    public factor: f64,
    public offset: f64,
    public names: string[],
  ) {}
}

const LENGTH = `m 1: meter
km 1000: kilometer
cm 0.01: centimeter
mm 0.001: millimeter
um 0.000001: micrometer, micron, µm, μm
nm 0.000000001: nanometer
in 0.0254: inch, inches, "
ft 0.3048: foot, feet, '
yd 0.9144: yard
mi 1609.344: mile
nmi 1852: nautical mile
au 149597870700: astronomical unit
ly 9460730472580800: light year, lightyear`;

const MASS = `kg 1: kilogram, kilogramme, kilo
g 0.001: gram, gramme
mg 0.000001: milligram
ug 0.000000001: microgram, µg, μg
t 1000: tonne, metric ton
lb 0.45359237: pound, lbs
oz 0.028349523125: ounce
st 6.35029318: stone
ton 907.18474: short ton, us ton
long ton 1016.0469088: imperial ton
ct 0.0002: carat`;

const TEMPERATURE = `K 1: kelvin
C 1 273.15: celsius, centigrade, degc, degree celsius, degrees celsius
F 0.5555555555555556 255.3722222222222: fahrenheit, degf, degree fahrenheit, degrees fahrenheit
R 0.5555555555555556: rankine`;

const VOLUME = `l 0.001: liter
ml 0.000001: milliliter
cl 0.00001: centiliter
dl 0.0001: deciliter
m3 1: cubic meter
cm3 0.000001: cubic centimeter, cc
ft3 0.028316846592: cubic foot, cubic feet, cu ft
in3 0.000016387064: cubic inch, cubic inches, cu in
gal 0.003785411784: gallon, us gallon
qt 0.000946352946: quart, us quart
pt 0.000473176473: pint, us pint
cup 0.0002365882365: us cup
fl oz 0.0000295735295625: fluid ounce, floz, us fluid ounce
tbsp 0.00001478676478125: tablespoon
tsp 0.00000492892159375: teaspoon
imp gal 0.00454609: imperial gallon, uk gallon
imp pt 0.00056826125: imperial pint, uk pint
bbl 0.158987294928: barrel, oil barrel`;

const AREA = `m2 1: square meter, sqm, sq m
km2 1000000: square kilometer, sq km
cm2 0.0001: square centimeter, sq cm
mm2 0.000001: square millimeter, sq mm
ha 10000: hectare
acre 4046.8564224: ac
ft2 0.09290304: square foot, square feet, sqft, sq ft
in2 0.00064516: square inch, square inches, sq in
yd2 0.83612736: square yard, sq yd
mi2 2589988.110336: square mile, sq mi`;

const SPEED = `m/s 1: mps, meter per second, meters per second
km/h 0.2777777777777778: kmh, kph, kilometer per hour, kilometers per hour
mph 0.44704: mi/h, mile per hour, miles per hour
kn 0.5144444444444445: knot, kt
ft/s 0.3048: fps, foot per second, feet per second
mach 340.294: mach number`;

const TIME = `s 1: second, sec
ms 0.001: millisecond
us 0.000001: microsecond, µs, μs
ns 0.000000001: nanosecond
min 60: minute
h 3600: hour, hr
d 86400: day
wk 604800: week
mo 2629800: month
yr 31557600: year, julian year`;

const DATA = `bit 1: b
B 8: byte, octet
kbit 1000: kb, kilobit
Mbit 1000000: Mb, megabit
Gbit 1000000000: Gb, gigabit
kB 8000: KB, kilobyte
MB 8000000: megabyte
GB 8000000000: gigabyte
TB 8000000000000: terabyte
PB 8000000000000000: petabyte
KiB 8192: kibibyte
MiB 8388608: mebibyte
GiB 8589934592: gibibyte
TiB 8796093022208: tebibyte`;

const ENERGY = `J 1: joule
kJ 1000: kilojoule
MJ 1000000: megajoule
cal 4.184: calorie, small calorie
kcal 4184: kilocalorie, food calorie, Cal
Wh 3600: watt hour, watthour
kWh 3600000: kilowatt hour, kilowatthour
MWh 3600000000: megawatt hour
eV 0.0000000000000000001602176634: electronvolt
BTU 1055.05585262: british thermal unit`;

const PRESSURE = `Pa 1: pascal
hPa 100: hectopascal
kPa 1000: kilopascal
MPa 1000000: megapascal
bar 100000: bars
mbar 100: millibar
atm 101325: atmosphere
psi 6894.757293168361: pound per square inch, pounds per square inch
mmHg 133.322387415: millimeter of mercury
Torr 133.3223684210526: torr
inHg 3386.389: inch of mercury, inches of mercury`;

function read(dimension: string, rows: string, into: Unit[]): void {
  const lines = rows.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const colon = lines[i].indexOf(":");
    const words = lines[i].slice(0, colon).split(" ");
    // The symbol may hold a space; the numbers do not.
    let first = words.length - 1;
    while (first > 1 && isDigit(words[first - 1].charCodeAt(0))) first--;
    const factor = parseFloat(words[first]);
    const offset = first + 1 < words.length ? parseFloat(words[first + 1]) : 0;
    into.push(new Unit(dimension, words.slice(0, first).join(" "), factor, offset, lines[i].slice(colon + 2).split(", ")));
  }
}

function isDigit(c: i32): bool {
  return c >= 48 && c <= 57;
}

export function units(): Unit[] {
  const all: Unit[] = [];
  read("length", LENGTH, all);
  read("mass", MASS, all);
  read("temperature", TEMPERATURE, all);
  read("volume", VOLUME, all);
  read("area", AREA, all);
  read("speed", SPEED, all);
  read("time", TIME, all);
  read("data", DATA, all);
  read("energy", ENERGY, all);
  read("pressure", PRESSURE, all);
  return all;
}
