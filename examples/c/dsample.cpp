// dsample app.onnx SEED COUNT [CLASS] > digits.pgm
//
// Draws images 0 … COUNT-1 of a seed with a file that `dtool export --recipe` made, and writes them side by side as one
// PGM or PPM picture. ONNX Runtime's C API, through its own C++ header: each OrtStatus that is no success is thrown.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <onnxruntime_cxx_api.h>

using Cause = std::runtime_error;

template <typename Number> Number number(const char *text, Number least, Number most, const char *meaning) {
    Number value{};
    auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
    if (error != std::errc() || *end || value < least || value > most)
        throw Cause(std::string(text) + ": " + meaning);
    return value;
}

bool takes(const Ort::Session &session, const char *name) {
    Ort::AllocatorWithDefaultOptions memory;
    for (size_t i = 0; i < session.GetInputCount(); i++)
        if (!std::strcmp(session.GetInputNameAllocated(i, memory).get(), name)) return true;
    for (size_t i = 0; i < session.GetOverridableInitializerCount(); i++) // an input that has a default
        if (!std::strcmp(session.GetOverridableInitializerNameAllocated(i, memory).get(), name)) return true;
    return false;
}

void write(const float *images, float low, float high, size_t count, size_t channels, size_t height, size_t width) {
    for (size_t i = 0; i < count * channels * height * width; i++)
        if (!std::isfinite(images[i])) throw Cause("the images are not finite numbers");
    size_t columns = size_t(std::ceil(std::sqrt(double(count)))), rows = (count + columns - 1) / columns;
    std::printf("P%c\n%zu %zu\n255\n", channels == 3 ? '6' : '5', columns * width, rows * height);
    for (size_t y = 0; y < rows * height; y++)
        for (size_t x = 0; x < columns * width; x++)
            for (size_t c = 0; c < channels; c++) {
                size_t i = y / height * columns + x / width; // which image
                float v = i < count ? images[((i * channels + c) * height + y % height) * width + x % width] : low;
                std::putchar(int(std::nearbyint(255 * (std::fmin(std::fmax(v, low), high) - low) / (high - low))));
            }
    if (std::fflush(stdout) || std::ferror(stdout)) throw Cause("the picture can't be written");
}

int main(int argc, char **argv) try {
    if (argc < 4 || argc > 5) throw Cause("usage: dsample app.onnx SEED COUNT [CLASS] > digits.pgm");
    auto seed = number<uint64_t>(argv[2], 0, UINT64_MAX, "SEED is a whole number from 0 to 2^64-1");
    auto count = number<int64_t>(argv[3], 1, 65536, "COUNT is a whole number from 1 to 65536");
    auto label = argc < 5 ? -1 : number<int64_t>(argv[4], -1, INT64_MAX, "CLASS is a whole number, -1 for none");

    Ort::Env env(ORT_LOGGING_LEVEL_FATAL);
    Ort::Session session(env, argv[1], Ort::SessionOptions());
    Ort::AllocatorWithDefaultOptions memory;
    auto cpu = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
    auto said = session.GetModelMetadata().LookupCustomMetadataMapAllocated("classes", memory);
    if (!said || !takes(session, "ids")) throw Cause("no sampler in this file: make one with dtool export --recipe");
    if (!takes(session, "seed")) throw Cause("the seed is frozen in this file: export it without --freeze");
    auto classes = std::atoll(said.get());
    if (label >= classes) throw Cause(std::string(argv[4]) + ": no such class, there are " + said.get());

    std::vector<uint64_t> ids(count);
    std::vector<int64_t> labels(count, label);
    for (int64_t i = 0; i < count; i++) ids[i] = i;
    const char *names[] = {"ids", "seed", "label"}, *wanted[] = {"images"};
    Ort::Value inputs[] = {Ort::Value::CreateTensor(cpu, ids.data(), ids.size(), &count, 1),
                           Ort::Value::CreateTensor(cpu, &seed, 1, nullptr, 0),
                           Ort::Value::CreateTensor(cpu, labels.data(), labels.size(), &count, 1)};
    auto images = session.Run({}, names, inputs, classes ? 3 : 2, wanted, 1);

    auto shape = images[0].GetTensorTypeAndShapeInfo().GetShape(); // float32, by the file's contract
    if (shape.size() == 3) shape.insert(shape.begin() + 1, 1);     // (images, height, width)
    if (shape.size() != 4 || (shape[1] != 1 && shape[1] != 3))
        throw Cause("a picture has 1 or 3 channels, a height and a width: this network makes something else");
    float low = -1, high = 1; // black and white; JSON of the file may say otherwise
    auto spec = session.GetModelMetadata().LookupCustomMetadataMapAllocated("dtool", memory);
    if (auto range = spec ? std::strstr(spec.get(), "\"data_range\"") : nullptr)
        std::sscanf(range, "\"data_range\" : [ %f , %f", &low, &high);
    write(images[0].GetTensorData<float>(), low, high, shape[0], shape[1], shape[2], shape[3]);
} catch (const std::exception &error) {
    std::fprintf(stderr, "dsample: %.*s\n", int(std::strcspn(error.what(), "\n")), error.what());
    return 1;
}
