//! Functions that are compiled several times, for processors with and without wide registers; which one runs is found out
//! when the program does. (Programs are built for the oldest processors of a family, where nothing says otherwise.)

/// Compiles a function for x86-64 of the fourth level (AVX-512), of the third (AVX2, BMI), and for what every processor has.
/// What it calls takes part where it is inlined.
macro_rules! vectorised {
    ($function:item) => {
        #[multiversion::multiversion(targets(
            "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+bmi1+bmi2+fma+lzcnt+popcnt",
            "x86_64+avx2+bmi1+bmi2+fma+lzcnt+popcnt"
        ))]
        $function
    };
}

pub(crate) use vectorised;
