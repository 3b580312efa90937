// Answers for a photo from an aiface model file alone, with onnxruntime's C++ API and nothing else.
//
//   c++ -std=c++17 -O2 -ffp-contract=off aiface.cpp -I HEADERS -L LIBRARY -lonnxruntime -o aiface
//   ./aiface MODEL.onnx PHOTO.ppm [OPERATING_POINT]
//
// First the self-test that the file carries, then the photo: binary PPM (P6) of 8 bits, upright. Both results
// are one line of JSON. Exit code 1 and a line on stderr where the file or the machine is not as it should be.

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// ---- JSON, as far as a manifest has it ---------------------------------------------------------------------------

struct Json {
  enum Kind { Null, Bool, Number, Text, List, Object } kind = Null;
  double number = 0;
  std::string text;
  std::vector<Json> list;
  std::map<std::string, Json> fields;

  const Json& operator[](const std::string& name) const {
    static const Json none;
    const auto found = fields.find(name);
    return found == fields.end() ? none : found->second;
  }
  int integer() const { return static_cast<int>(number); }
};

class JsonReader {
 public:
  explicit JsonReader(const std::string& text) : at_(text.data()), end_(at_ + text.size()) {}
  Json value() {
    Json result;
    switch (next()) {
      case '{':
        result.kind = Json::Object;
        sequence('}', [&] {
          std::string name = string();
          expect(':');
          result.fields[name] = value();
        });
        return result;
      case '[':
        result.kind = Json::List;
        sequence(']', [&] { result.list.push_back(value()); });
        return result;
      case '"':
        result.kind = Json::Text;
        result.text = string();
        return result;
      case 't': case 'f': case 'n':
        result.kind = *at_ == 'n' ? Json::Null : Json::Bool;
        result.number = *at_ == 't';
        while (at_ < end_ && std::isalpha(static_cast<unsigned char>(*at_))) ++at_;
        return result;
      default:
        return numeral();
    }
  }

 private:
  Json numeral() {
    const char* first = at_;
    while (at_ < end_ && std::string("+-.eE0123456789").find(*at_) != std::string::npos) ++at_;
    if (first == at_) throw std::runtime_error("the manifest is no JSON");
    Json result;
    result.kind = Json::Number;
    result.number = std::strtod(std::string(first, at_).c_str(), nullptr);  // in the "C" locale
    return result;
  }
  char next() {
    while (at_ < end_ && std::isspace(static_cast<unsigned char>(*at_))) ++at_;
    if (at_ == end_) throw std::runtime_error("the manifest is cut off");
    return *at_;
  }
  void expect(char wanted) {
    if (next() != wanted) throw std::runtime_error("the manifest is no JSON");
    ++at_;
  }
  template <typename Part>
  void sequence(char close, Part part) {
    ++at_;
    if (next() == close) { ++at_; return; }
    for (;;) {
      part();
      if (next() == close) { ++at_; return; }
      expect(',');
    }
  }
  std::string string() {
    expect('"');
    std::string result;
    for (; at_ < end_ && *at_ != '"'; ++at_) {
      if (*at_ != '\\') { result += *at_; continue; }
      if (++at_ == end_) break;
      const std::string names = "nrtbf", values = "\n\r\t\b\f";
      const size_t place = names.find(*at_);
      if (*at_ == 'u') {
        if (end_ - at_ < 5) break;
        utf8(std::stoul(std::string(at_ + 1, at_ + 5), nullptr, 16), result);
        at_ += 4;
      } else {
        result += place == std::string::npos ? *at_ : values[place];
      }
    }
    expect('"');
    return result;
  }
  static void utf8(unsigned long code, std::string& out) {  // surrogates apart: labels are compared, not shown
    if (code < 0x80) { out += static_cast<char>(code); return; }
    if (code < 0x800) {
      out += static_cast<char>(0xC0 | code >> 6);
    } else {
      out += static_cast<char>(0xE0 | code >> 12);
      out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    }
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
  const char* at_;
  const char* end_;
};

std::vector<uint8_t> base64(const std::string& text) {
  std::vector<uint8_t> bytes;
  uint32_t bits = 0;
  int count = 0;
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (char letter : text) {
    const size_t digit = digits.find(letter);
    if (digit == std::string::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    if ((count += 6) >= 8) bytes.push_back(static_cast<uint8_t>(bits >> (count -= 8)));
  }
  return bytes;
}

// ---- Pixels ------------------------------------------------------------------------------------------------------

struct Photo {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  // rows of width x 3 bytes
};

Photo read_ppm(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::array<int, 3> numbers{};
  std::string magic;
  file >> magic;
  for (int& number : numbers) {
    while (file >> std::ws && file.peek() == '#') file.ignore(1 << 20, '\n');
    file >> number;
  }
  file.get();
  if (!file || magic != "P6" || numbers[2] != 255 || numbers[0] < 1 || numbers[1] < 1)
    throw std::runtime_error(std::string(path) + ": not a binary PPM of 8 bits");
  Photo photo{numbers[0], numbers[1], std::vector<uint8_t>(size_t{3} * numbers[0] * numbers[1])};
  if (!file.read(reinterpret_cast<char*>(photo.rgb.data()), static_cast<std::streamsize>(photo.rgb.size())))
    throw std::runtime_error(std::string(path) + ": is cut off");
  return photo;
}

struct Filter {
  double support;
  double (*weight)(double);
};

constexpr double pi = 3.14159265358979323846;
double sinc(double x) { return x == 0 ? 1 : std::sin(x * pi) / (x * pi); }

Filter filter_of(const std::string& name) {
  if (name == "box") return {0.5, [](double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }};
  if (name == "bilinear") return {1, [](double x) { return std::max(0.0, 1 - std::fabs(x)); }};
  if (name == "hamming")
    return {1, [](double x) {
              x = std::fabs(x);
              return x == 0 ? 1.0 : x >= 1 ? 0.0 : sinc(x) * (0.54 + 0.46 * std::cos(x * pi));
            }};
  if (name == "bicubic")
    return {2, [](double x) {
              const double a = -0.5;
              x = std::fabs(x);
              if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
              return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
            }};
  if (name == "lanczos") return {3, [](double x) { return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0.0; }};
  throw std::runtime_error("the filter " + name + " is not in this program");
}

// Pillow's resampling, one axis: a filter as wide as the reduction, weights of 22 bits, each pass rounded to a byte.
// `step` is the distance of two neighbours along the axis, `line` that of two rows or columns along it, in bytes.
Photo resize_axis(const Photo& photo, int size, const Filter& filter, bool is_horizontal) {
  const int from = is_horizontal ? photo.width : photo.height;
  if (from == size) return photo;
  Photo out{is_horizontal ? size : photo.width, is_horizontal ? photo.height : size, {}};
  out.rgb.resize(size_t{3} * out.width * out.height);
  const double scale = static_cast<double>(from) / size, stretch = std::max(scale, 1.0);
  const double support = filter.support * stretch;
  const int lines = is_horizontal ? photo.height : photo.width;
  const size_t step = is_horizontal ? 3 : size_t{3} * photo.width, out_step = is_horizontal ? 3 : size_t{3} * out.width;
  const size_t line = is_horizontal ? size_t{3} * photo.width : 3, out_line = is_horizontal ? size_t{3} * out.width : 3;
  for (int place = 0; place < size; ++place) {
    const double centre = (place + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int last = std::min(from, static_cast<int>(centre + support + 0.5));
    std::vector<double> weights;
    double total = 0;
    for (int x = first; x < last; ++x) {
      weights.push_back(filter.weight((x - centre + 0.5) * (1 / stretch)));
      total += weights.back();
    }
    std::vector<int32_t> fixed;
    for (double weight : weights) {
      const double scaled = (total != 0 ? weight / total : weight) * (1 << 22);
      fixed.push_back(static_cast<int32_t>(scaled + (scaled < 0 ? -0.5 : 0.5)));
    }
    for (int row = 0; row < lines; ++row)
      for (int channel = 0; channel < 3; ++channel) {
        const uint8_t* pixel = photo.rgb.data() + row * line + first * step + channel;
        int32_t sum = 1 << 21;
        for (size_t x = 0; x < fixed.size(); ++x) sum += pixel[x * step] * fixed[x];
        out.rgb[row * out_line + place * out_step + channel] = static_cast<uint8_t>(std::clamp(sum >> 22, 0, 255));
      }
  }
  return out;
}

Photo resize(const Photo& photo, int width, int height, const std::string& name) {
  const Filter filter = filter_of(name);
  // Pillow 13 begins with the height where it shrinks by far more; before, always with the width.
  const bool is_horizontal_first = photo.height - height <= std::max(0, 2 * (photo.width - width));
  const Photo half = resize_axis(photo, is_horizontal_first ? width : height, filter, is_horizontal_first);
  return resize_axis(half, is_horizontal_first ? height : width, filter, !is_horizontal_first);
}

Photo crop(const Photo& photo, int left, int top, int width, int height) {  // black beyond the sides
  Photo out{width, height, std::vector<uint8_t>(size_t{3} * width * height)};
  for (int y = std::max(0, -top); y < std::min(height, photo.height - top); ++y)
    for (int x = std::max(0, -left); x < std::min(width, photo.width - left); ++x)
      std::copy_n(&photo.rgb[3 * (size_t(y + top) * photo.width + x + left)], 3, &out.rgb[3 * (size_t(y) * width + x)]);
  return out;
}

Photo apply(const Photo& photo, const Json& step) {
  const std::string& op = step["op"].text;
  const int width = step["width"].integer(), height = step["height"].integer();
  if (op == "resize") return resize(photo, width, height, step["filter"].text);
  if (op == "resize_shorter") {
    const int64_t size = step["size"].integer(), shorter = std::min(photo.width, photo.height);
    const int longer = static_cast<int>(static_cast<double>(size * std::max(photo.width, photo.height)) / shorter);
    const bool is_upright = photo.width <= photo.height;
    return resize(photo, is_upright ? int(size) : longer, is_upright ? longer : int(size), step["filter"].text);
  }
  const double left = (photo.width - width) / 2.0, top = (photo.height - height) / 2.0;
  if (op == "center_crop") return crop(photo, static_cast<int>(left), static_cast<int>(top), width, height);
  if (op == "center_crop_to_even")  // nearbyint rounds half a pixel to an even number
    return crop(photo, int(std::nearbyint(left)), int(std::nearbyint(top)), width, height);
  throw std::runtime_error("the step " + op + " is not in this program");
}

// ---- The model ---------------------------------------------------------------------------------------------------

using Answers = std::map<std::string, std::vector<float>>;  // values of each output, row by row

class Model {
 public:
  explicit Model(const char* path) : session_(env_, std::filesystem::path(path).c_str(), Ort::SessionOptions{}) {
    Ort::AllocatorWithDefaultOptions allocator;
    const auto text = session_.GetModelMetadata().LookupCustomMetadataMapAllocated("aiface", allocator);
    if (!text) throw std::runtime_error(std::string(path) + ": has no manifest of aiface");
    manifest = JsonReader(text.get()).value();
    if (manifest["schema"].integer() != 1) throw std::runtime_error("the manifest is of another schema than 1");
    outputs_ = {"probabilities"};
    for (const char* map : {"faces", "evidence"})
      if (manifest[map].kind == Json::Object) outputs_.push_back(map);
    height = manifest["input"]["height"].integer();
    width = manifest["input"]["width"].integer();
  }

  Answers run(std::vector<uint8_t> pixels) {  // uint8 RGB [N, height, width, 3]
    const int64_t row = int64_t{3} * height * width, count = static_cast<int64_t>(pixels.size()) / row;
    const std::array<int64_t, 4> shape{count, height, width, 3};
    const auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const auto image = Ort::Value::CreateTensor<uint8_t>(memory, pixels.data(), pixels.size(), shape.data(), 4);
    const char* input = "image";
    std::vector<const char*> names;
    for (const auto& name : outputs_) names.push_back(name.c_str());
    const auto values = session_.Run(Ort::RunOptions{}, &input, &image, 1, names.data(), names.size());
    Answers answers;
    for (size_t index = 0; index < names.size(); ++index) {
      const float* data = values[index].GetTensorData<float>();
      answers[names[index]].assign(data, data + values[index].GetTensorTypeAndShapeInfo().GetElementCount());
    }
    return answers;
  }

  double self_test();
  Json manifest;
  int height = 0, width = 0;

 private:
  Ort::Env env_{ORT_LOGGING_LEVEL_ERROR};
  Ort::Session session_;
  std::vector<std::string> outputs_;
};

void flatten(const Json& value, std::vector<double>& out) {
  if (value.kind == Json::List) for (const Json& part : value.list) flatten(part, out);
  else out.push_back(value.number);
}

// Run the stored inputs as one batch, and return the largest difference in units of what is the processor's rounding.
double Model::self_test() {
  const Json& test = manifest["self_test"];
  if (test.kind != Json::Object) throw std::runtime_error("the file carries no self-test; export it again");
  const int side = test["side"].integer();
  std::vector<uint8_t> batch;
  for (const Json& input : test["inputs"].list) {
    const std::vector<uint8_t> small = base64(input.text);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)  // enlarged by repeating pixels
        for (int channel = 0; channel < 3; ++channel)
          batch.push_back(small.at(3 * (size_t(y * side / height) * side + x * side / width) + channel));
  }
  double worst = 0;
  const size_t count = test["inputs"].list.size();
  for (const auto& [name, values] : run(batch)) {
    for (size_t index = 0; index < count; ++index) {
      std::vector<double> stored;
      flatten(test[name].list.at(index), stored);
      double unit = name == "probabilities" ? 1 : 2;  // one cell of a map may be off further than their mean
      if (name == "evidence")
        for (double value : stored) unit = std::max(unit, 2 * std::fabs(value));
      for (size_t place = 0; place < stored.size(); ++place) {
        const double off = std::fabs(values.at(index * stored.size() + place) - stored[place]) / unit;
        if (!(off <= worst)) worst = off;  // so that NaN stays
      }
    }
  }
  if (!(worst <= test["tolerance"].number)) throw std::runtime_error("the self-test fails: " + std::to_string(worst) + " off");
  return worst;
}

int answer(int count, char** arguments) {
  Model model(arguments[1]);
  const double off = model.self_test();
  Photo photo = read_ppm(arguments[2]);
  for (const Json& step : model.manifest["input"]["steps"].list) photo = apply(photo, step);
  const Answers answers = model.run(photo.rgb);

  const std::string name = count > 3 ? arguments[3] : "balanced";
  const Json& point = model.manifest["operating_points"][name];
  if (point.kind != Json::Object) throw std::runtime_error("the model has no operating point " + name);
  const auto& labels = model.manifest["labels"].list;
  double p_ai = 0;
  for (size_t index = 0; index < labels.size(); ++index)
    for (const Json& label : model.manifest["ai_labels"].list)
      if (label.text == labels[index].text) p_ai += answers.at("probabilities")[index];
  p_ai = std::min(1.0, p_ai);
  const char* verdict = p_ai >= point["ai_from"].number ? "ai" : p_ai < point["real_below"].number ? "real" : "uncertain";
  std::string face = "null";
  if (const auto map = answers.find("faces"); map != answers.end()) {
    const float likeliest = *std::max_element(map->second.begin(), map->second.end());
    if (!(likeliest >= model.manifest["faces"]["present_from"].number)) verdict = "uncertain";  // without a face
    face = std::to_string(likeliest);
  }
  std::printf("{\"self_test\": %.9g, \"p_ai\": %.9g, \"verdict\": \"%s\", \"face_probability\": %s}\n", off, p_ai, verdict,
              face.c_str());
  return 0;
}

int main(int count, char** arguments) try {
  if (count < 3) {
    std::fprintf(stderr, "usage: %s MODEL.onnx PHOTO.ppm [OPERATING_POINT]\n", arguments[0]);
    return 2;
  }
  return answer(count, arguments);
} catch (const std::exception& error) {
  std::fprintf(stderr, "aiface: %s\n", error.what());
  return 1;
}
